"""The front process: accepts connections, routes requests, and leaves predictions to workers (HOST-45).

Where the model has a quick path, this process is the leader of the lanes too: small requests are answered
here, in batches of about 2 ms.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from functools import partial
from time import perf_counter
from types import FrameType
from typing import Any

from opt_ml.serving import metrics
from opt_ml.serving.access_log import AccessLog
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.bidirectional.streams import Streams
from opt_ml.serving.chat.errors import ChatClient
from opt_ml.serving.chat.requests import NO_CHATS
from opt_ml.serving.execution_parameters import execution_parameters
from opt_ml.serving.http.acceptor import Acceptor, adopt, most_clients
from opt_ml.serving.http.bodies import BodyMemory
from opt_ml.serving.http.connection import Connection
from opt_ml.serving.http.request_reader import Request
from opt_ml.serving.http.server import Guest
from opt_ml.serving.line_writer import LineWriter
from opt_ml.serving.metrics import Metrics
from opt_ml.serving.multi_model.api import NO_MODEL_NAMED, MultiModel
from opt_ml.serving.quick import Quick
from opt_ml.serving.quick.quick_connection import DRAIN_GRACE
from opt_ml.serving.quick.quick_path import QuickPath
from opt_ml.serving.sessions.desk import SessionDesk
from opt_ml.serving.sessions.store import SessionStore
from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.jobs import Job
from opt_ml.serving.workers.late_pool import LatePool
from opt_ml.serving.workers.pool import Pool
from opt_ml.serving.workers.processes import Children

_TICK = 0.25  # seconds between two looks at clocks and time-outs
_DRAIN_PATIENCE = 3.0  # seconds of silence that a half-received request gets while the server stops

_PING = b"/ping"
_INVOCATIONS = b"/invocations"
_CHAT = b"/v1/chat/completions"
_MODELS = b"/models"
_INVOKE = b"/invoke"
_METRICS = b"/metrics"
_EXECUTION_PARAMETERS = b"/execution-parameters"
_METHODS = {  # HOST-31, HOST-32
    _PING: (b"GET", b"POST"),
    _INVOCATIONS: (b"POST",),
    _CHAT: (b"POST",),  # HOST-71
    _METRICS: (b"GET",),
    _EXECUTION_PARAMETERS: (b"GET",),
}
_UNLOGGED = (_PING, _METRICS)  # the platform asks for them again and again
_HEALTHY = Answer(200)
_UNHEALTHY = error_answer(503, "No worker has loaded the model.")


class Front:
    """One server; see `serving.server.Server` for what its connections use of it.

    Args:
        settings: see `Settings`.
        quick: what answers small requests, or None where workers answer all.
    """

    def __init__(self, settings: Settings, quick: Quick | None = None) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        children = Children()
        self._pool: Pool | LatePool | MultiModel = (
            MultiModel(settings, self._on_fatal)
            if settings.is_multi_model
            else LatePool(settings, children)
            if quick is not None
            else Pool(settings, self._on_fatal, children)
        )
        store = SessionStore(settings.sessions, settings.session_lifetime) if settings.sessions else None
        self._sessions = SessionDesk(store)
        self._streams = Streams(settings, self, children)
        self._log = AccessLog(LineWriter(sys.stdout.fileno()), settings.log, settings.lanes if quick else 1)
        self._metrics = Metrics()
        self._quick_path = (
            QuickPath(quick, settings, self, children, self._metrics, self._log) if quick else None
        )
        self._stop = asyncio.Event()
        self._exit_code = 0
        self._is_announced = False
        self._arriving: set[asyncio.Task[None]] = set()
        self._most_clients = most_clients(settings.workers + settings.lanes)
        self.max_body = settings.max_body
        self.body_memory = BodyMemory(settings.body_memory)
        self.is_draining = False
        self.connections: set[Guest] = set()
        self.now = 0.0
        self.date = b""

    async def run(self) -> int:
        """Serve until a signal comes or no worker can be had; returns the exit code.

        Raises:
            UserError: the port cannot be bound.
        """
        self._tick()
        acceptor = Acceptor(self._settings.port, self._on_client, self._has_room)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        # uvloop keeps SIGCHLD for its own subprocesses, of which there are none here.
        signal.signal(signal.SIGCHLD, self._on_child_signal)
        if self._quick_path is not None:
            self._quick_path.start()
        if not isinstance(self._pool, LatePool):
            await self._pool.start()
        await self._stop.wait()
        acceptor.close()
        if self._exit_code == 0:
            await self._drain()
        if self._quick_path is not None:
            self._quick_path.close()
        self._streams.close()
        await self._pool.close()
        self._log.close()
        return self._exit_code

    def handle(self, request: Request, connection: Connection) -> Callable[[], None] | None:
        """Route one request; see `Server.handle`."""
        path = _path(request.target)
        methods = _METHODS.get(path)
        if isinstance(self._pool, MultiModel) and (path == _MODELS or path.startswith(_MODELS + b"/")):
            return self._pool.handle(path, request, connection)
        if methods is None and request.is_upgrade and not self._settings.is_multi_model:
            return self._streams.ask(request, connection)
        if methods is None:  # HOST-35, HOST-81, BATCH-04
            connection.respond(error_answer(404, "No such path. POST /invocations or GET /ping."))
        elif request.method not in methods:
            allow = b", ".join(methods).decode()
            connection.respond(error_answer(405, f"Use {allow} for {path.decode()}.", allow=allow))
        elif path == _PING:
            connection.respond(_HEALTHY if self._is_healthy else _UNHEALTHY)
        elif path == _METRICS:
            gauges = self._pool.gauges() | self._sessions.gauges() | self._streams.gauges()
            gauges |= self._quick_path.gauges() if self._quick_path else {}
            text = self._metrics.as_text(gauges, self._pool.counters())
            connection.respond(Answer(200, metrics.CONTENT_TYPE, text))
        elif path == _EXECUTION_PARAMETERS:
            connection.respond(Answer(200, body=execution_parameters(self._settings)))
        elif path == _CHAT:
            return self._chat(request, ChatClient(connection))
        elif isinstance(self._pool, MultiModel):
            connection.respond(NO_MODEL_NAMED)
        else:
            return self._invoke(request, connection, self._pool)
        return None

    def on_relay(self, relay: Guest, is_open: bool) -> None:
        """A stream is closed when the server stops, like any other connection."""
        (self.connections.add if is_open else self.connections.discard)(relay)

    def log(self, request: Request, answer: Answer, sent: int, is_broken: bool = False) -> None:
        """One line a request; see `Server.log`. Health checks would only bury the others."""
        if request.target in _UNLOGGED:
            return
        seconds = perf_counter() - request.received
        if _path(request.target).endswith((_INVOCATIONS, _INVOKE, _CHAT)):
            self._metrics.observe(answer.status, seconds)
        self._log.one(
            request.method.decode(),
            request.target.decode("ascii", "backslashreplace"),
            answer.status,
            seconds,
            sent,
            request.header(b"x-amzn-sagemaker-inference-id"),
            is_broken,
        )

    @property
    def _is_healthy(self) -> bool:
        return self._quick_path is not None or self._pool.is_ready

    def new_connection(self) -> Connection:
        """See `quick_path.Leader`."""
        return Connection(self)

    def _has_room(self) -> bool:
        others = 0 if self._quick_path is None else self._quick_path.clients
        return len(self.connections) + len(self._arriving) + others < self._most_clients

    def _on_client(self, client: socket.socket) -> None:
        if self._quick_path is not None:
            self._quick_path.on_client(client)
        else:
            self._keep(adopt(client, Connection(self)))

    def _invoke(
        self, request: Request, connection: Connection, pool: Pool | LatePool
    ) -> Callable[[], None] | None:
        client = self._sessions.admit(request, connection)
        if client is None:
            return None

        def submit() -> Callable[[], None]:
            return _submit(pool, Job(request, client))

        if self._quick_path is None or not self._quick_path.takes(request):
            return submit()
        cancel: list[Callable[[], None]] = []

        def on_answer(answer: Answer | None) -> None:
            if answer is None:
                cancel[:] = [submit()]
            else:
                connection.respond(answer)

        cancel.append(self._quick_path.ask(request, on_answer))
        return lambda: cancel[0]()

    def _chat(self, request: Request, chat: ChatClient) -> Callable[[], None] | None:
        if isinstance(self._pool, MultiModel):
            chat.respond(NO_MODEL_NAMED)
        elif self._quick_path is not None:  # a model of the image's own
            chat.respond(error_answer(404, NO_CHATS))
        elif (client := self._sessions.admit(request, chat)) is not None:
            return _submit(self._pool, Job(request, client, is_chat=True))
        return None

    async def _drain(self) -> None:
        """Finish what has begun, within the time that SIGTERM leaves (HOST-05)."""
        self.is_draining = True
        deadline = self._loop.time() + self._settings.drain_timeout
        while self._loop.time() < deadline:
            if self._quick_path is not None:
                self._quick_path.drain()
            for connection in list(self.connections):
                connection.drain(DRAIN_GRACE)
            is_quick_busy = self._quick_path is not None and self._quick_path.is_busy
            if not (self.connections or self._arriving or self._pool.is_busy or is_quick_busy):
                return
            await asyncio.sleep(0.02)

    def _tick(self) -> None:
        self._loop.call_later(_TICK, self._tick)
        self.now = self._loop.time()
        self.date = f"Date: {formatdate(usegmt=True)}\r\n".encode()
        self._log.tick()
        self._pool.expire()
        if self._quick_path is not None:
            self._quick_path.tick(self.now, self.date, self._is_healthy)
        self._sessions.tick()
        self._announce()
        timeout = _DRAIN_PATIENCE if self.is_draining else self._settings.idle_timeout
        for connection in list(self.connections):
            connection.end_without_progress(timeout)

    def _announce(self) -> None:
        """Say once that requests are answered. Never before: the cause of a failed load is the first line."""
        if self._is_healthy and not self._is_announced:
            self._is_announced = True
            how = f"workers: {self._settings.workers}"
            if self._quick_path is not None:
                lanes = self._settings.lanes
                how = f"processes with the compiled model: {lanes}; {how}, started when needed"
            self._log.note(f"Ready on port {self._settings.port}; {how}.")

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _on_child_signal(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._pool.on_child_signal)

    def _on_fatal(self, cause: str, details: str) -> None:
        print(f"{cause}\n{details}".rstrip(), file=sys.stderr, flush=True)
        self._exit_code = 1
        self._stop.set()


def _submit(pool: Pool | LatePool, job: Job) -> Callable[[], None]:
    pool.submit(job)
    return partial(pool.cancel, job)


def _path(target: bytes) -> bytes:
    """The path of a request target, which may be a whole address (RFC 9112, section 3.2.2)."""
    if target in _METHODS:
        return target
    if not target.startswith(b"/"):
        _, separator, rest = target.partition(b"://")
        target = b"/" + rest.partition(b"/")[2] if separator else target
    return target.partition(b"?")[0]
