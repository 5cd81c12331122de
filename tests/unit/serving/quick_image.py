"""An image whose package declares a handler and a quick path that give the same answers."""

from __future__ import annotations

import os
from pathlib import Path

from tests.unit.serving.conftest import ENTRYPOINTS, Server, eventually

# `worker` is left to a worker, `bug` raises, `refused` is a mistake of the client; the rest is told back.
QUICK = """
import os, pathlib
from opt_ml.serving.answers import Answer, error_answer

BASE = pathlib.Path(os.environ["BASE"])

class Quick:
    most_rows = 8

    def answer(self, requests):
        assert len(requests) <= self.most_rows
        return [self.answer_one(*request) for request in requests]

    def answer_one(self, body, content_type, accept):
        if body.startswith(b"worker"):
            return None
        if body.startswith(b"bug"):
            raise ZeroDivisionError("a bug")
        if body.startswith(b"refused"):
            return error_answer(422, "row 1: refused", {"row": 1})
        if body == b"process":
            return Answer(200, "text/plain", b"%d" % os.getpid())
        if body.startswith(b"big"):
            return Answer(200, "text/plain", b"x" * int(body[3:]))
        types = f"{content_type or 'application/octet-stream'}|{accept or '*/*'}|"
        return Answer(200, "text/plain", types.encode("latin-1") + body)

def load_quick(model_dir):
    if (BASE / "no-quick").exists():
        return None
    if (BASE / "broken-quick").exists():
        raise OSError("the compiled model is cut short")
    return Quick()
"""

HANDLER = """
import os
from opt_ml.errors import RequestError

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    if body.startswith(b"refused"):
        raise RequestError(422, "row 1: refused", row=1)
    if body == b"process":
        return b"%d" % os.getpid(), "text/plain"
    if body.startswith(b"big"):
        return b"x" * int(body[3:]), "text/plain"
    return f"{content_type}|{accept}|".encode("latin-1") + body, "text/plain"
"""

ENTRY_POINTS = """
[opt_ml.handler]
test = quick_image_handler

[opt_ml.quick]
test = quick_image_quick:load_quick
"""


def install(base: Path, quick: str = QUICK, handler: str = HANDLER) -> str:
    """Put the package into a folder; returns the PYTHONPATH of a server that finds it."""
    packages = base / "packages"
    facts = packages / "quick_image-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: quick-image\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)
    (packages / "quick_image_quick.py").write_text(quick)
    (packages / "quick_image_handler.py").write_text(handler)
    return f"{ENTRYPOINTS}{os.pathsep}{packages}"


def processes(server: Server, module: str) -> set[int]:
    """Process ids of the children that run `opt_ml.serving.<module>`."""
    found = set()
    for process in server.workers:
        command = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        if f"opt_ml.serving.{module}".encode() in command:
            found.add(process)
    return found


def lanes(server: Server) -> set[int]:
    return processes(server, "quick.lane")


def workers(server: Server) -> set[int]:
    return processes(server, "workers.worker")


def wait_for_lanes(server: Server, count: int) -> Server:
    """Wait until the leader and `count` lanes answer."""
    server.wait_until_ready()

    def are_ready() -> bool:
        return f"lanes_ready {count + 1}".encode() in server.request("GET", "/metrics").body

    eventually(are_ready, f"{count} lanes are ready")
    return server
