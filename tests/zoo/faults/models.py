"""Faults of our own `serve` where it has many models."""

import os
import signal
from typing import Any

from .changes import before

SOON = 30.0  # seconds


class Changed:
    """A connection on which some statuses become others.

    Args:
        connection: that is meant.
        statuses: old -> new.
    """

    def __init__(self, connection: Any, statuses: dict[int, int]) -> None:
        self._connection, self._statuses = connection, statuses

    def respond(self, answer: Any) -> None:
        """Send an answer."""
        self._connection.respond(answer._replace(status=self._statuses.get(answer.status, answer.status)))


def needs_a_model() -> None:
    """/ping is 503 until a model is loaded."""
    from opt_ml.serving.multi_model.api import MultiModel

    MultiModel.is_ready = property(lambda models: next(models._registry.loaded(), None) is not None)


def loads_with_202() -> None:
    """A load is 202, as if the model were still to come."""
    from opt_ml.serving.multi_model.api import MultiModel

    usual = MultiModel._load
    MultiModel._load = lambda models, body, connection: usual(models, body, Changed(connection, {200: 202}))


def loads_twice() -> None:
    """The load of a loaded model is 200."""
    from opt_ml.serving.multi_model.api import MultiModel

    usual = MultiModel._load
    MultiModel._load = lambda models, body, connection: usual(models, body, Changed(connection, {409: 200}))


def reloads() -> None:
    """The load of a loaded model is 409, and the new one takes its place all the same."""
    from opt_ml.serving.multi_model.registry import Registry

    def replace(registry: Registry, name: str, url: str) -> None:
        if entry := registry.find(name):
            entry.url = url

    before(Registry, "load", replace)


def no_room_is_500() -> None:
    """A model for which there is no memory is an error like any other."""
    from opt_ml.serving.multi_model.api import MultiModel

    usual = MultiModel._load
    MultiModel._load = lambda models, body, connection: usual(models, body, Changed(connection, {507: 500}))


def fails_without_words() -> None:
    """What cannot be loaded gets a status and no text."""
    from opt_ml.serving.answers import Answer
    from opt_ml.serving.multi_model import api

    usual = api._refusal
    api._refusal = lambda error: usual(error) if error.status in (404, 409, 507) else Answer(error.status)


def one_page() -> None:
    """The list of models is one page, however short the client wants it."""
    from opt_ml.serving.multi_model.registry import Registry

    usual = Registry.page
    Registry.page = lambda registry, after, limit: usual(registry, after, 1_000_000)


def describes_anything() -> None:
    """GET /models/{name} is 200 for a model that is not loaded."""
    from opt_ml.serving.multi_model import api

    def describe(models: Any, name: str, request: Any, connection: Any) -> bool:
        if request.method != b"GET" or models._registry.find(name):
            return False
        connection.respond(api._json({"modelName": name, "modelUrl": ""}))
        return True

    before(api.MultiModel, "_on_model", describe)


def keeps_memory() -> None:
    """A model that is unloaded is no longer found, and keeps its process."""
    from opt_ml.serving.multi_model.registry import Registry, not_loaded

    async def unload(registry: Registry, name: str) -> None:
        if registry.find(name) is None:
            raise not_loaded(name)
        del registry._entries[name]

    Registry.unload = unload


def unloads_anything() -> None:
    """DELETE is 200 for a model that is not loaded."""
    from opt_ml.serving.multi_model.api import MultiModel

    usual = MultiModel._unload
    MultiModel._unload = lambda models, name, connection: usual(models, name, Changed(connection, {404: 200}))


def unloads_at_once() -> None:
    """An unload does not wait for the requests of the model."""
    from opt_ml.serving.multi_model.registry import Registry

    def end(registry: Registry, name: str) -> None:
        entry = registry.find(name)
        for process in getattr(getattr(entry, "model", None), "pool", None).processes if entry else ():
            os.kill(process, signal.SIGKILL)

    before(Registry, "unload", end)


def asks_nobody_500() -> None:
    """A request to a model that is not loaded is the server's fault."""
    from opt_ml.serving.multi_model.api import MultiModel

    usual = MultiModel._on_invoke
    MultiModel._on_invoke = lambda models, name, request, connection: usual(
        models, name, request, connection if models._registry.find(name) else Changed(connection, {404: 500})
    )


def unquoted_names() -> None:
    """A name is taken as it stands in the path."""
    from opt_ml.serving.multi_model import api

    api._name = lambda segment: segment.decode("latin-1")


def loads_side_by_side() -> None:
    """Of two loads of a name at about one time each is 200."""
    from opt_ml.serving.multi_model.registry import Registry

    usual = Registry.load

    async def load(registry: Registry, name: str, url: str) -> None:
        entry = registry._entries.get(name)
        if entry is None or registry._loop.time() - entry.last_used > SOON:
            await usual(registry, name, url)
        elif not entry.is_loaded:
            await entry.changed.wait()

    Registry.load = load
