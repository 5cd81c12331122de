"""The routes /models, /models/{name} and /models/{name}/invoke (MME-05 to MME-12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes

import orjson

from opt_ml.errors import RequestError
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.http.connection import Connection
from opt_ml.serving.http.request_reader import Request
from opt_ml.serving.multi_model.memory import LoadError
from opt_ml.serving.multi_model.registry import Registry, not_loaded
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.jobs import Job

NO_MODEL_NAMED = error_answer(
    400, "This endpoint has many models: POST /models/{model_name}/invoke, after POST /models has loaded it."
)
"""The answer to /invocations, which names no model."""
MOST_LISTED = 100  # models on one page (MME-21)
_MODELS = b"/models"
_INVOKE = b"invoke"

Abandon = Callable[[], None] | None


class MultiModel:
    """What stands behind a front that serves many models, in the place of the one model's pool.

    Args:
        settings: see `Settings`.
        on_fatal: called once with (cause, details) when no process can be had.
    """

    def __init__(self, settings: Settings, on_fatal: Callable[[str, str], None]) -> None:
        self._registry = Registry(settings, on_fatal)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the processes that models share; there is none yet (MME-04)."""
        self._registry.hosts.start()

    @property
    def is_ready(self) -> bool:
        """True while models can be loaded and asked (MME-04, MME-22)."""
        return self._registry.hosts.is_ready

    @property
    def is_busy(self) -> bool:
        """True while a load, an unload or a request is under way."""
        return bool(self._tasks) or self._registry.is_busy

    def gauges(self) -> dict[str, float]:
        """The state of now, for /metrics."""
        return self._registry.gauges()

    def counters(self) -> dict[str, float]:
        """What happened since the start, for /metrics."""
        return self._registry.counters()

    def expire(self) -> None:
        """End what took longer than its time-out; called now and then."""
        self._registry.expire()

    def on_child_signal(self) -> None:
        """SIGCHLD."""
        self._registry.on_child_signal()

    async def close(self) -> None:
        """End all processes."""
        await self._registry.close()

    def handle(self, path: bytes, request: Request, connection: Connection) -> Abandon:
        """Answer a request below /models; see `server.Server.handle`."""
        segments = path[len(_MODELS) + 1 :].split(b"/")
        if path == _MODELS:
            return self._on_models(request, connection)
        if len(segments) == 1 and segments[0]:
            return self._on_model(_name(segments[0]), request, connection)
        if len(segments) == 2 and segments[0] and segments[1] == _INVOKE:
            return self._on_invoke(_name(segments[0]), request, connection)
        connection.respond(
            error_answer(404, "No such path. Quote a slash in a model's name: /models/{name}/invoke.")
        )
        return None

    def _on_models(self, request: Request, connection: Connection) -> Abandon:
        if request.method == b"GET":
            connection.respond(_caught(self._list, request.target.partition(b"?")[2]))
        elif request.method == b"POST":
            self._keep(self._load(request.body, connection))
        else:
            connection.respond(_wrong_method("GET, POST", _MODELS))
        return None

    def _on_model(self, name: str, request: Request, connection: Connection) -> Abandon:
        if request.method == b"GET":
            entry = self._registry.find(name)
            if entry is None:
                connection.respond(_refusal(not_loaded(name)))
            else:
                connection.respond(_json({"modelName": name, "modelUrl": entry.url}))
        elif request.method == b"DELETE":
            self._keep(self._unload(name, connection))
        else:
            connection.respond(_wrong_method("GET, DELETE", b"/models/{name}"))
        return None

    def _on_invoke(self, name: str, request: Request, connection: Connection) -> Abandon:
        if request.method != b"POST":
            connection.respond(_wrong_method("POST", b"/models/{name}/invoke"))
            return None
        abandon = self._registry.invoke(name, Job(request, connection))
        if abandon is None:
            connection.respond(_refusal(not_loaded(name)))
        return abandon

    def _list(self, query: bytes) -> Answer:
        options = parse_qs(query.decode("latin-1"), keep_blank_values=True)
        limit = min(_whole_number(options, "limit", MOST_LISTED, 1), MOST_LISTED)
        page = self._registry.page(_whole_number(options, "next_page_token", 0, 0), limit)
        listed = [{"modelName": entry.name, "modelUrl": entry.url} for entry in page.entries]
        token = {} if page.next is None else {"nextPageToken": str(page.next)}
        return _json({"models": listed, **token})

    async def _load(self, body: bytes, connection: Connection) -> None:
        try:
            name, url = read_order(body)
            await self._registry.load(name, url)
        except RequestError as error:
            connection.respond(error_answer(error.status, error.message))
        except LoadError as error:
            connection.respond(_refusal(error))
        else:
            connection.respond(_json({"modelName": name, "modelUrl": url}))

    async def _unload(self, name: str, connection: Connection) -> None:
        try:
            await self._registry.unload(name)
        except LoadError as error:
            connection.respond(_refusal(error))
        else:
            connection.respond(_json({"modelName": name}))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with it whether the client waits for it or not (MME-16)."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def read_order(body: bytes) -> tuple[str, str]:
    """Name and directory of the model that POST /models is to load.

    Raises:
        RequestError: 400: the body is not `{"model_name": text, "url": text}`.
    """
    wanted = '{"model_name": "...", "url": "/opt/ml/models/.../model"}'
    try:
        order = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"The body is not JSON ({error}). Send {wanted}.") from None
    if not isinstance(order, dict):
        raise RequestError(400, f"The body is not a JSON object. Send {wanted}.")
    for key in ("model_name", "url"):
        if not isinstance(order.get(key), str) or not order[key]:
            raise RequestError(400, f"{key} must be a text that is not empty. Send {wanted}.")
    return order["model_name"], order["url"]


def _name(segment: bytes) -> str:
    """The name that a path segment quotes (MME-14); one that is not UTF-8 is nobody's."""
    return unquote_to_bytes(segment).decode(errors="replace")


def _whole_number(options: dict[str, list[str]], name: str, default: int, least: int) -> int:
    text = options.get(name, [""])[-1] or str(default)
    if not text.isascii() or not text.isdigit() or int(text[:18]) < least:
        raise RequestError(400, f"{name}={text[:100]!r} must be a whole number of at least {least}.")
    return int(text[:18])


def _caught(function: Callable[[bytes], Answer], argument: bytes) -> Answer:
    try:
        return function(argument)
    except RequestError as error:
        return error_answer(error.status, error.message)


def _json(content: dict[str, Any]) -> Answer:
    return Answer(200, body=orjson.dumps(content))


def _refusal(error: LoadError) -> Answer:
    return error_answer(error.status, error.cause)


def _wrong_method(allow: str, path: bytes) -> Answer:
    return error_answer(405, f"Use {allow} for {path.decode()}.", allow=allow)
