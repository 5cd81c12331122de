"""A multi-model endpoint: models are loaded when they are first asked for, and make room for others."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from toolkit.hosting.api_errors import ApiError, model_error, not_ready, unavailable, validation_error
from toolkit.hosting.fleet import Fleet
from toolkit.hosting.invocation import TARGET_MODEL, Invocation, NoAnswerError, Routed
from toolkit.hosting.model_store import ModelStore

LOADING_LIMIT = 360.0  # seconds (MME-16)
_UNLOADING_LIMIT = 60.0
_NOT_LOADED, _NO_ROOM = 404, 507


@dataclass
class _Model:
    """A model that the container has, or is loading; `users` are the requests in it."""

    target: str
    model_id: str
    loaded: Future[None] = field(default_factory=Future)
    users: int = 0


class MultiModel:
    """One container, many models (MME-05 to MME-17).

    Args:
        fleet: of one container.
        store: the models.
        endpoint: its name, for errors.
        keeps_loaded: False unloads a model after each request (`ModelCacheSetting=Disabled`).
        say: receives a line when a model is loaded or unloaded.
    """

    def __init__(
        self, fleet: Fleet, store: ModelStore, endpoint: str, keeps_loaded: bool, say: Callable[[str], None]
    ) -> None:
        self._fleet = fleet
        self._store = store
        self._endpoint = endpoint
        self._keeps_loaded = keeps_loaded
        self._say = say
        self._lock = threading.Lock()
        self._making_room = threading.Lock()
        self._models: OrderedDict[str, _Model] = OrderedDict()  # the least recently used first
        self._generation = -1

    @contextmanager
    def answer(self, invocation: Invocation, limit: float) -> Iterator[Routed]:
        """See `Route`; the limit is that of loading and answering together (MME-16)."""
        if not invocation.target_model:
            raise validation_error("TargetModel is required: this is a multi-model endpoint.")
        deadline = time.monotonic() + limit
        with self._in_use(invocation.target_model) as model:
            may_load_again = True
            while True:
                self._wait_until_loaded(model, deadline)
                path = f"/models/{quote(model.model_id)}/invoke"
                left = max(0.0, deadline - time.monotonic())
                with self._ask("POST", path, invocation.headers, invocation.body, left) as routed:
                    status = routed.answer.status
                    if status == _NOT_LOADED and may_load_again:
                        may_load_again = False  # a second 404 is the answer
                        self._load_again(model)
                        continue  # it was unloaded behind our back
                    if status == _NO_ROOM and self._make_room(model):
                        continue
                    yield routed
                    return

    @contextmanager
    def _in_use(self, target: str) -> Iterator[_Model]:
        model_id = self._store.identify(target)
        with self._lock:
            if self._generation != self._fleet.generation:  # a new container has no model
                self._models.clear()
                self._generation = self._fleet.generation
            model = self._models.setdefault(model_id, _Model(target, model_id))
            model.users += 1
            self._models.move_to_end(model_id)
            is_first = model.users == 1 and not model.loaded.running() and not model.loaded.done()
            if is_first:
                model.loaded.set_running_or_notify_cancel()
        if is_first:
            threading.Thread(target=self._load, args=(model, model.loaded), daemon=True).start()
        try:
            yield model
        finally:
            with self._lock:
                model.users -= 1
                is_idle = model.users == 0
            if is_idle and not self._keeps_loaded:  # MME-17: asynchronously
                threading.Thread(target=self._drop, args=(model,), daemon=True).start()

    def _wait_until_loaded(self, model: _Model, deadline: float) -> None:
        try:
            model.loaded.result(max(0.0, deadline - time.monotonic()))
        except NotYetError:
            raise not_ready(model.target) from None

    def _load(self, model: _Model, loaded: Future[None]) -> None:
        """Runs in a thread of its own: loading goes on when the client has given up (MME-16)."""
        began = time.monotonic()
        try:
            with self._store.alone(model.model_id):
                self._post(model, began)
        except (ApiError, NoAnswerError, OSError) as error:
            with self._lock:
                self._remove(model)
            failure = unavailable(str(error)) if isinstance(error, OSError) else error
            loaded.set_exception(failure)
        else:
            self._say(f"Loaded {model.target} in {time.monotonic() - began:.1f} s")
            loaded.set_result(None)

    def _post(self, model: _Model, began: float) -> None:
        url = self._store.fetch(model.target, model.model_id)
        request = json.dumps({"model_name": model.model_id, "url": url}).encode()
        headers = {"Content-Type": "application/json", TARGET_MODEL: model.target}
        while True:
            left = LOADING_LIMIT - (time.monotonic() - began)
            with self._ask("POST", "/models", headers, request, left) as routed:
                status, text = routed.answer.status, routed.read().decode(errors="replace")
            if status in (200, 409):  # MME-06: it has been loaded before
                return
            if status != _NO_ROOM or not self._make_room(model):  # MME-07
                raise model_error(self._endpoint, routed.container, status, text)

    def _load_again(self, model: _Model) -> None:
        """The container does not have it any more."""
        with self._lock:
            if model.loaded.running():  # for another request already
                return
            again: Future[None] = Future()
            again.set_running_or_notify_cancel()
            model.loaded = again
        threading.Thread(target=self._load, args=(model, again), daemon=True).start()

    def _make_room(self, model: _Model) -> bool:
        """Unload the least recently used model that nobody uses; False where there is none."""
        with self._making_room:
            with self._lock:
                idle = [
                    other
                    for other in self._models.values()
                    if other is not model and not other.users and other.loaded.done()
                ]
                if not idle:
                    return False
                self._models.pop(idle[0].model_id)
            return self._unload(idle[0])

    def _unload(self, model: _Model) -> bool:
        try:
            with self._ask("DELETE", f"/models/{quote(model.model_id)}", {}, b"", _UNLOADING_LIMIT) as routed:
                status = routed.answer.status
        except (ApiError, NoAnswerError):
            return False
        self._say(f"Unloaded {model.target}")
        return status in (200, _NOT_LOADED)

    def _drop(self, model: _Model) -> None:
        with self._store.alone(model.model_id):
            with self._lock:
                if model.users or not self._remove(model):
                    return
            if self._unload(model):
                self._store.remove(model.model_id)

    def _remove(self, model: _Model) -> bool:
        """Whether it was this one that is known by its name; call it with the lock."""
        is_known = self._models.get(model.model_id) is model
        if is_known:
            del self._models[model.model_id]
        return is_known

    @contextmanager
    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, limit: float
    ) -> Iterator[Routed]:
        with self._fleet.ask(0, method, path, headers, body, limit) as answer:
            yield Routed(answer, self._fleet.definitions[0].hostname)
