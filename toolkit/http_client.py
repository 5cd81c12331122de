"""One HTTP/1.1 request to a model server, with nothing added that the caller did not ask for."""

from __future__ import annotations

import http.client
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from toolkit.errors import ToolkitError

INVOCATION_LIMIT = 60.0  # seconds for one answer to /invocations (HOST-50)


@dataclass(frozen=True)
class Response:
    """The container's answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, with a mark where a byte is not UTF-8."""
        return self.body.decode(errors="replace")

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters, in lower case; empty without one (HOST-58)."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Exchange(Protocol):
    """Carries the bytes of one request to a server and brings back those of the answer."""

    def __call__(self, request: bytes) -> bytes: ...  # noqa: D102 - the class says it


def send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | Iterable[bytes] = b"",
) -> Response:
    """Send one request and read the whole answer; the connection is closed.

    Args:
        connection: fresh, or kept alive by an earlier answer.
        method: `GET` or `POST`.
        path: beginning with a slash.
        headers: sent as they are; Host and Content-Length (or, for an iterable body,
            `Transfer-Encoding: chunked`, BATCH-07) are the only ones added.
        body: bytes, or an iterable whose parts become chunks.

    Raises:
        OSError: no connection, or no answer in time.
        http.client.HTTPException: the answer is not HTTP.
    """
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    if not isinstance(body, bytes):
        connection.putheader("Transfer-Encoding", "chunked")
    elif body or method == "POST":
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body, encode_chunked=not isinstance(body, bytes))
    answer = connection.getresponse()
    lowered = {name.lower(): value for name, value in answer.getheaders()}
    return Response(answer.status, lowered, answer.read())


def invoke(url: str, body: bytes, content_type: str | None, accept: str | None) -> Response:
    """POST `body` to /invocations of an endpoint that runs already.

    Args:
        url: `http://HOST[:PORT]`, with or without `/invocations`.
        body: the payload.
        content_type: None leaves the header out.
        accept: None leaves the header out.

    Raises:
        ToolkitError: not such a URL, nothing listens there, or no answer within 60 s (HOST-50).
    """
    host, port = _host_and_port(url)
    connection = http.client.HTTPConnection(host, port, timeout=INVOCATION_LIMIT)
    given = {"Content-Type": content_type, "Accept": accept}
    try:
        sent = {name: value for name, value in given.items() if value is not None}
        return send(connection, "POST", "/invocations", sent, body)
    except (OSError, http.client.HTTPException) as error:
        raise ToolkitError(
            f"Nothing answers at http://{host}:{port} ({error}).",
            "Start an endpoint first (./build.py serve IMAGE), or name an image to start one for it.",
        ) from None
    finally:
        connection.close()


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme == "http" and parts.hostname:
            return parts.hostname, parts.port or 80
    except ValueError:  # a port that is no number
        pass
    raise ToolkitError(
        f"--url {url}: this is not http://HOST:PORT.", "For example: --url http://127.0.0.1:8080"
    )


class RelayedConnection(http.client.HTTPConnection):
    """A connection whose bytes travel by `exchange` instead of a socket of this process.

    For a container without a network: what runs inside it can reach its loopback, this process cannot.
    """

    def __init__(self, host: str, exchange: Exchange) -> None:
        super().__init__(host)
        self._exchange = exchange

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        """One exchange carries one request: the server is asked to close after its answer."""
        self.putheader("Connection", "close")
        super().endheaders(message_body, encode_chunked=encode_chunked)

    def connect(self) -> None:
        """Collect the request; it is sent when the answer is asked for."""
        self.sock = _RelaySocket(self._exchange)


class _RelaySocket:
    """The part of a socket that http.client uses."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._request = bytearray()

    def sendall(self, data: bytes) -> None:
        self._request += data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._exchange(bytes(self._request)))

    def close(self) -> None:
        """Nothing is held open."""
