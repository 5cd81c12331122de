"""What is asked of a model server by HTTP, however it can be reached."""

from __future__ import annotations

import http.client
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from toolkit.errors import WorkError
from toolkit.serving.http_client import INVOCATION_LIMIT, OpenAnswer, Response, begin, send

PING_LIMIT = 2.0  # seconds for one answer to /ping (HOST-40)


class InvocationError(WorkError):
    """A request had no answer: SageMaker would raise ModelError or a time-out."""


class ModelServer(ABC):
    """A server that keeps the container contract."""

    @abstractmethod
    def connect(self, timeout: float = INVOCATION_LIMIT) -> http.client.HTTPConnection:
        """A new connection, for `http_client.send` or for raw requests; `timeout` in seconds."""

    def ping(self) -> Response:
        """GET /ping, with the platform's limit of 2 s (HOST-40).

        Raises:
            OSError: no connection, or no answer in time.
        """
        return self.request("GET", "/ping", timeout=PING_LIMIT)

    def invoke(
        self,
        body: bytes | Iterable[bytes],
        content_type: str | None = None,
        accept: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """POST /invocations (HOST-31).

        Args:
            body: bytes; or an iterable of parts, sent with chunked encoding (BATCH-07).
            content_type: None leaves the header out (HOST-57).
            accept: None leaves the header out.
            headers: further headers.

        Raises:
            InvocationError: no connection, no answer within 60 s (HOST-50), or one that is not HTTP.
        """
        given = {"Content-Type": content_type, "Accept": accept, **(headers or {})}
        sent = {name: value for name, value in given.items() if value is not None}
        try:
            return self.request("POST", "/invocations", sent, body)
        except (OSError, http.client.HTTPException) as error:
            cause = str(error) or type(error).__name__
            raise InvocationError(f"the container gave no answer to /invocations: {cause}.") from error

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        timeout: float = INVOCATION_LIMIT,
    ) -> Response:
        """Any request, on a connection of its own."""
        connection = self.connect(timeout)
        try:
            return send(connection, method, path, headers or {}, body)
        finally:
            connection.close()

    def open(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | Iterable[bytes], limit: float
    ) -> OpenAnswer:
        """Any request, whose answer is read as it comes; head and body must have come in `limit` seconds.

        Raises:
            OSError: no connection, or no answer in time.
            http.client.HTTPException: the answer is not HTTP.
        """
        connection = self.connect(limit)
        try:
            begin(connection, method, path, headers, body)
            return OpenAnswer(connection, limit)
        except BaseException:
            connection.close()
            raise
