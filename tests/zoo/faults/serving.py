"""Faults of the tiny image's `serve`."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from .changes import before, change_answers

MODEL = Path("/opt/ml/model")


def dirty_stop(program: ModuleType) -> None:
    """Ends with exit code 9 on SIGTERM."""
    usual = program.serve
    program.serve = lambda: sys.exit(usual() or 9)


def ignores_sigterm(program: ModuleType) -> None:
    """Goes on after SIGTERM, `train` as well."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    program.signal = type("Deaf", (), {"SIGTERM": signal.SIGTERM, "signal": lambda *_: None})


def drops_requests(program: ModuleType) -> None:
    """Ends without the answers that it owes."""
    program.Server.finish_requests = lambda server: None


def fixed_port(program: ModuleType) -> None:
    """Listens on 8080, whatever the platform says."""
    os.environ.pop("SAGEMAKER_BIND_TO_PORT", None)


def loopback_only(program: ModuleType) -> None:
    """Nobody outside of the container reaches it."""
    usual = program.Server.__init__
    program.Server.__init__ = lambda server, address, handler: usual(
        server, ("127.0.0.1", address[1]), handler
    )


def listens_elsewhere(program: ModuleType) -> None:
    """Has a second port of its own choice."""

    def listen() -> None:
        program.management = program.Server(("0.0.0.0", 8081), program.Handler)

    before(program, "serve", listen)


def serve_needs_network(program: ModuleType) -> None:
    """Looks for a network before it begins."""

    def look() -> None:
        if not Path("/sys/class/net/eth0").exists():
            raise OSError("There is no network.")

    before(program, "serve", look)


def writes_home(program: ModuleType) -> None:
    """Keeps a cache in /root."""
    before(program, "serve", lambda: Path("/root/cache").write_text(""))


def writes_to_model(program: ModuleType) -> None:
    """Keeps a cache beside the model."""
    before(program, "serve", lambda: (MODEL / "cache").write_text(""))


def takes_memory(program: ModuleType) -> None:
    """Keeps more than a gigabyte."""

    def take() -> None:
        program.cache = b"x" * 1_200_000_000

    before(program, "serve", take)


def reads_batch_word(program: ModuleType) -> None:
    """Takes SAGEMAKER_BATCH only in lower case."""

    def look() -> None:
        if os.environ.get("SAGEMAKER_BATCH", "false") not in {"true", "false"}:
            raise ValueError("SAGEMAKER_BATCH is unknown.")

    before(program, "serve", look)


def no_invocations(program: ModuleType) -> None:
    """Predicts at a path of its own."""

    def refuse(handler: Any) -> bool:
        if handler.path == "/invocations":
            handler.path = "/predict"
        return False

    before(program.Handler, "do_POST", refuse)


def no_post_ping(program: ModuleType) -> None:
    """/ping can only be got."""

    def refuse(handler: Any) -> bool:
        if handler.path == "/ping":
            handler.path = "/no-ping"
        return False

    before(program.Handler, "do_POST", refuse)


def ping_204(program: ModuleType) -> None:
    """A healthy /ping is 204."""
    change_answers(
        program,
        lambda handler, status, body: (204 if (handler.path, status) == ("/ping", 200) else status, body),
    )


def slow_ping(program: ModuleType) -> None:
    """/ping waits for the workers."""

    def wait(handler: Any) -> None:
        if handler.path == "/ping" and threading.active_count() > 6:
            time.sleep(5)

    before(program.Handler, "do_GET", wait)


def static_ping(program: ModuleType) -> None:
    """/ping is 200, whatever became of the model."""
    usual = program.read_model

    def read_model() -> Any:
        try:
            return usual()
        except program.UserError:
            return {"features": None}

    program.read_model = read_model


def reads_private_file(program: ModuleType) -> None:
    """Reads a file of the image that only root may read."""
    before(program, "serve", lambda: Path("/app/settings.json").read_text())


def few_connections(program: ModuleType) -> None:
    """Has time for twelve clients, and hangs up on the others."""
    usual = program.Server.process_request

    def process_request(server: Any, connection: Any, address: Any) -> None:
        if threading.active_count() > 12:
            server.shutdown_request(connection)
        else:
            usual(server, connection, address)

    program.Server.process_request = process_request


def closes_connections(program: ModuleType) -> None:
    """Speaks HTTP/1.0: a connection is one request."""
    program.Handler.protocol_version = "HTTP/1.0"
