"""A client of an endpoint on this machine: of its API where it has one, else of the bare container."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlsplit

from toolkit.errors import ToolkitError
from toolkit.hosting import event_stream
from toolkit.hosting.api_errors import ApiError, model_error
from toolkit.hosting.limits import REAL_TIME
from toolkit.serving.http_client import Response, begin, send

_LIMIT = REAL_TIME.stream + 20  # seconds; longer than the endpoint itself waits (HOST-50, HOST-66)
_FINDING_LIMIT = 10.0
_HEADERS = {
    "content_type": "Content-Type",
    "accept": "Accept",
    "custom_attributes": "X-Amzn-SageMaker-Custom-Attributes",
    "inference_id": "X-Amzn-SageMaker-Inference-Id",
    "session_id": "X-Amzn-SageMaker-Session-Id",
    "target_model": "X-Amzn-SageMaker-Target-Model",
    "target_container": "X-Amzn-SageMaker-Target-Container-Hostname",
}


@dataclass(frozen=True)
class Call:
    """One call of InvokeEndpoint; None leaves a header out."""

    body: bytes
    content_type: str | None = None
    accept: str | None = None
    custom_attributes: str | None = None
    inference_id: str | None = None
    session_id: str | None = None
    target_model: str | None = None
    target_container: str | None = None
    headers: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        given = {header: getattr(self, name) for name, header in _HEADERS.items()}
        kept = {header: value for header, value in given.items() if value is not None}
        object.__setattr__(self, "headers", kept)


class EndpointClient:
    """Calls the endpoint at an address.

    Args:
        url: `http://HOST[:PORT]`, with or without a path.

    Raises:
        ToolkitError: not such a URL, or nothing listens there.
    """

    def __init__(self, url: str) -> None:
        self._host, self._port = _host_and_port(url)
        self._name = self._find_name()

    def invoke(self, call: Call) -> Response:
        """The answer of the container, of status 2xx.

        Raises:
            ApiError: what the API answers where there is no such answer.
            ToolkitError: the endpoint has gone.
        """
        connection = self._connect(_LIMIT)
        try:
            response = send(connection, "POST", self._path("invocations"), call.headers, call.body)
        except (OSError, HTTPException) as error:
            raise self._gone(error) from None
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            raise self._error(response)
        return response

    def stream(self, call: Call) -> Iterator[bytes]:
        """The parts of the answer as they come (HOST-65).

        Raises:
            ApiError: as `invoke`; and ModelStreamError in the middle of the stream.
            ToolkitError: the endpoint has gone.
        """
        connection = self._connect(_LIMIT)
        headers = dict(call.headers)
        if self._name and "Accept" in headers:  # this operation has a name of its own for it
            headers["X-Amzn-SageMaker-Accept"] = headers.pop("Accept")
        try:
            begin(connection, "POST", self._path("invocations-response-stream"), headers, call.body)
            answer = connection.getresponse()
            if not 200 <= answer.status < 300:
                lowered = {name.lower(): value for name, value in answer.getheaders()}
                raise self._error(Response(answer.status, lowered, answer.read()))
            if self._name:
                yield from _payload(answer)
            else:
                while part := answer.read1(1 << 16):
                    yield part
        except (OSError, HTTPException, ValueError) as error:
            raise self._gone(error) from None
        finally:
            connection.close()

    def _path(self, operation: str) -> str:
        return f"/endpoints/{quote(self._name)}/{operation}" if self._name else "/invocations"

    def _connect(self, limit: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=limit)

    def _find_name(self) -> str:
        """The endpoint's name; empty for a container without an API in front of it."""
        connection = self._connect(_FINDING_LIMIT)
        try:
            response = send(connection, "GET", "/endpoints", {})
        except (OSError, HTTPException) as error:
            raise self._gone(error) from None
        finally:
            connection.close()
        try:
            return str(json.loads(response.body)["Endpoints"][0]["EndpointName"])
        except (ValueError, LookupError, TypeError):
            return ""

    def _error(self, response: Response) -> ApiError:
        code = response.headers.get("x-amzn-errortype", "")
        if not self._name:
            return model_error("local", "primary", response.status, response.text)
        try:
            document: dict[str, Any] = json.loads(response.body)
        except ValueError:
            document = {"Message": response.text}
        message = str(document.pop("Message", ""))
        return ApiError(response.status, code, message, document)

    def _gone(self, error: Exception) -> ToolkitError:
        cause = str(error) or type(error).__name__
        return ToolkitError(
            f"Nothing answers at http://{self._host}:{self._port} ({cause}).",
            "Start an endpoint first (./build.py serve IMAGE), or name an image to start one for it.",
        )


def _payload(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    for headers, payload in event_stream.messages(answer):
        if headers.get(":message-type") == "exception":
            document = json.loads(payload)
            message = str(document.pop("Message", ""))
            raise ApiError(200, headers.get(":exception-type", ""), message, document)
        yield payload


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
