"""Endpoints of models that bring their own handler, and requests as raw bytes."""

from __future__ import annotations

import socket
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.conformance.profile import Profile
from toolkit.serving.endpoint import Endpoint

HANDLERS = Path(__file__).parent / "handlers"
PATIENCE = 60.0  # seconds until something that must happen counts as missing; no test waits this long


class Handlers:
    """Makes models that bring their own handler, and serves them.

    Args:
        image: to serve them.
        directory: an empty one, for the models.
        start_limit: seconds until /ping must be 200.
    """

    def __init__(self, image: str, directory: Path, start_limit: float) -> None:
        self._image, self._directory, self._start_limit = image, directory, start_limit
        self._count = 0

    def model(
        self, program: str | None, files: Mapping[str, str | bytes] | None = None, archive: Path | None = None
    ) -> Path:
        """A model's directory with code/inference.py.

        Args:
            program: a file of `handlers`, or the text of one, which has several lines.
            files: further files: path in the model's directory -> content.
            archive: a model.tar.gz whose files are there, too.
        """
        self._count += 1
        model = self._directory / f"model-{self._count}"
        (model / "code").mkdir(parents=True)
        if archive is not None:
            with tarfile.open(archive) as tar:
                tar.extractall(model, filter="data")
        if program is not None:
            (model / "code" / "inference.py").write_text(
                program if "\n" in program else (HANDLERS / program).read_text()
            )
        for name, content in (files or {}).items():
            (model / name).parent.mkdir(parents=True, exist_ok=True)
            (model / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return model

    def serve(
        self,
        program: str | None,
        files: Mapping[str, str | bytes] | None = None,
        archive: Path | None = None,
        **options: Any,
    ) -> Endpoint:
        """An endpoint, still to be entered, of `model(...)`; `options` are those of `Endpoint`."""
        usual = {"start_limit": self._start_limit}
        return Endpoint(self._image, self.model(program, files, archive), **{**usual, **options})


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as `condition` is true.

    Raises:
        AssertionError: it never was.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def eventually_logged(endpoint: Endpoint, text: str) -> None:
    """Return as soon as the container's log, which comes in its own time, has a line that holds `text`."""
    eventually(lambda: any(text in line for line in endpoint.logs().split("\n")), f"a line with {text[:80]}")


class RawAnswer(NamedTuple):
    """One answer of a connection; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@contextmanager
def raw_connection(endpoint: Endpoint) -> Iterator[socket.socket]:
    """A TCP connection to the endpoint, for bytes that no HTTP client would send."""
    parts = urlsplit(endpoint.url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=PATIENCE) as connection:
        yield connection


def read_answers(connection: socket.socket, count: int) -> list[RawAnswer]:
    """The next `count` answers, each with a Content-Length; those of the 100s are left out.

    Raises:
        EOFError: the server closed the connection before that.
    """
    with connection.makefile("rb") as stream:
        return [_read_answer(stream.readline, stream.read) for _ in range(count)]


def _read_answer(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> RawAnswer:
    while True:
        first = readline()
        if not first:
            raise EOFError("the server closed the connection instead of an answer")
        status = int(first.split()[1])
        headers = {}
        while line := readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if status >= 200:
            return RawAnswer(status, headers, read(int(headers.get("content-length", 0))))


def until_closed(connection: socket.socket) -> bytes:
    """Everything that the server still sends; a connection that it resets ends, too.

    Raises:
        AssertionError: the server goes on and on.
    """
    received, deadline = b"", time.monotonic() + PATIENCE
    try:
        while part := connection.recv(65536):
            received += part
            assert time.monotonic() < deadline, f"the answer does not end: {received[-80:]!r}"
    except ConnectionResetError:
        pass
    return received


def until_received(connection: socket.socket, wanted: bytes) -> bytes:
    """What the server sends until `wanted` is in it.

    Raises:
        AssertionError: it never was.
    """
    received, deadline = b"", time.monotonic() + PATIENCE
    while wanted not in received:
        part = connection.recv(1000)
        assert part, f"the answer ended with {received[-80:]!r}"
        assert time.monotonic() < deadline, f"never came: {wanted!r}"
        received += part
    return received


def request_headers(profile: Profile) -> dict[str, str]:
    """Content-Type, and Accept where the profile names one."""
    accept = {"Accept": profile.accept} if profile.accept else {}
    return {"Content-Type": profile.content_type, **accept}


def http_request(body: bytes, profile: Profile, *headers: str, version: str = "1.1") -> bytes:
    """The bytes of a POST to /invocations."""
    lines = [
        f"POST /invocations HTTP/{version}",
        "Host: localhost:8080",
        *(f"{name}: {value}" for name, value in request_headers(profile).items()),
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body
