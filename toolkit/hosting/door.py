"""The SageMaker runtime API on a local address, so that real clients can be pointed at it.

boto3.client("sagemaker-runtime", endpoint_url="http://127.0.0.1:8080", ...)

POST /endpoints/NAME/invocations                    InvokeEndpoint
POST /endpoints/NAME/invocations-response-stream    InvokeEndpointWithResponseStream
POST /endpoints/NAME/openai/v1/chat/completions     for OpenAI's clients; errors stay the container's own
GET  /endpoints                                     what is here
POST /invocations                                   the same way, but errors stay the container's own
anything else                                       goes to the (first) container as it is
"""

from __future__ import annotations

import json
import re
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any
from urllib.parse import unquote

from toolkit.errors import ToolkitError
from toolkit.hosting import event_stream
from toolkit.hosting.api_errors import VARIANT, ApiError, validation_error
from toolkit.hosting.fleet import Fleet
from toolkit.hosting.invocation import RETURNED, NoAnswerError, Routed
from toolkit.hosting.request_body import read_body
from toolkit.hosting.request_log import RequestLog, Served
from toolkit.hosting.runtime import Runtime
from toolkit.machine.run_spec import LOOPBACK
from toolkit.serving.http_client import OpenAnswer

_API = re.compile(r"/endpoints/([^/?]+)/(invocations|invocations-response-stream)\Z")
# The one path of OpenAI's API that the platform has (HOST-70, HOST-73), and what the container gets of it.
_CHATS = re.compile(r"/endpoints/([^/?]+)(?:/inference-components/[^/?]+)?/openai(/v1/chat/completions)\Z")
_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
# Of one connection, not of the message (RFC 9110, 7.6.1); the length is set anew.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade", "host"}
_WITHOUT_BODY = {204, 304}


class Door:
    """Serves the API in threads of its own, as a context manager; the port is its own from the start.

    Args:
        runtime: the endpoint.
        fleet: its containers, for what goes to them as it is.
        log: of the requests.
        port: on loopback; None for any free one.

    Raises:
        ToolkitError: at the start: the port is taken.
    """

    def __init__(self, runtime: Runtime, fleet: Fleet, log: RequestLog, port: int | None) -> None:
        try:
            self._server = _Server((LOOPBACK, port or 0), partial(_Handler, runtime, fleet, log))
        except OSError:
            raise ToolkitError(
                f"Port {port} of this machine is taken.", "Choose another with --port."
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Answer requests, those that wait already first."""
        self._thread.start()

    def close(self) -> None:
        """Take no request any more; a second call changes nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of this program; anything else is, and is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, runtime: Runtime, fleet: Fleet, log: RequestLog, *arguments: object) -> None:
        self._runtime, self._fleet, self._log = runtime, fleet, log
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """`/endpoints` is ours."""
        if self.path.partition("?")[0].rstrip("/") == "/endpoints":
            here = {"EndpointName": self._runtime.name, "EndpointStatus": "InService"}
            self._answer(
                200, {"Content-Type": "application/json"}, json.dumps({"Endpoints": [here]}).encode()
            )
        else:
            self._hand_over()

    def do_POST(self) -> None:
        """The API, or the container's own paths."""
        path = self.path.partition("?")[0]
        match, chats = _API.match(path), _CHATS.match(path)
        if chats:
            with self._measured("chat completions") as served:
                self._hand_over_to(chats[2], served, unquote(chats[1]))
        elif match:
            with self._measured(_OPERATIONS[match[2]]) as served:
                self._call(unquote(match[1]), match[2], served)
        elif self.path.startswith("/endpoints/"):
            with self._measured("?") as served:
                self._request(served)
                raise validation_error(f"{self.path} is no operation of the runtime API that is served here.")
        elif path == "/invocations":
            with self._measured("/invocations") as served:
                self._bare_invocation(served)
        else:
            self._hand_over()

    def __getattr__(self, name: str) -> Any:
        """`do_DELETE` and the like: the container knows which methods there are."""
        if name.startswith("do_"):
            return self._hand_over
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """`RequestLog` says what there is to say."""

    def _call(self, name: str, operation: str, served: Served) -> None:
        headers, body = self._request(served)  # first, or it would be taken for the next request
        self._runtime.check_name(name)
        if operation == "invocations-response-stream":
            with self._runtime.stream(headers, body) as routed:
                served.status = routed.answer.status
                self._stream_events(routed, served)
            self.wfile.write(_chunk(b""))
            return
        with self._runtime.invoke(headers, body) as (routed, answer):
            served.status = routed.answer.status
        # Behind the block: who has the whole answer may ask again, and is not one too many.
        self._answer(200, _returned(routed.answer), answer, served)

    def _bare_invocation(self, served: Served) -> None:
        headers, body = self._request(served)
        with self._runtime.answer(headers, body, self._runtime.limits.stream) as routed:
            served.status = routed.answer.status
            end = self._pass_on(routed, served)
        self.wfile.write(end)

    def _hand_over(self) -> None:
        """A path of the container: health, metrics, the model API."""
        with self._measured(None) as served:
            self._hand_over_to(self.path, served)

    def _hand_over_to(self, path: str, served: Served, endpoint: str | None = None) -> None:
        headers, body = self._request(served)
        if endpoint is not None:
            self._runtime.check_name(endpoint)
        if self.headers.get("Upgrade", "").lower() == "websocket":
            raise validation_error(
                f"No bidirectional stream goes through this address; use {self._fleet.url()} itself."
            )
        sent = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP}
        limit = self._runtime.limits.invocation if endpoint is None else self._runtime.limits.stream
        with self._fleet.ask(0, self.command, path, sent, body, limit) as answer:
            served.status = answer.status
            end = self._pass_on(Routed(answer, self._fleet.definitions[0].hostname), served)
        self.wfile.write(end)

    def _request(self, served: Served) -> tuple[dict[str, str], bytes]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            body = read_body(self.rfile, headers, self._runtime.limits.payload)
        except ApiError:
            self.close_connection = True  # what is left of the body would be taken for the next request
            raise
        served.received = len(body)
        return headers, body

    @contextmanager
    def _measured(self, operation: str | None) -> Iterator[Served]:
        """Answer errors, and log the request; None leaves it out of the log."""
        served = Served(operation or "")
        if operation:
            self._log.begin()
        began = monotonic()
        try:
            yield served
        except ApiError as error:
            served.note = error.summary
            self._answer_error(error, served)
        except NoAnswerError as error:
            failure = self._runtime.no_answer(error)
            served.note = failure.summary
            self._answer_error(failure, served)
        except OSError:  # the client has gone
            self.close_connection = True
            served.note = "the client went away"
        finally:
            served.seconds = monotonic() - began
            if operation:
                self._log.add(served)

    def _answer_error(self, error: ApiError, served: Served) -> None:
        served.status = error.status
        headers = {"Content-Type": "application/json"}
        if error.code:
            headers["x-amzn-ErrorType"] = error.code
        with suppress(OSError):
            self._answer(error.status, headers, json.dumps(error.document()).encode(), served)

    def _answer(
        self, status: int, headers: Mapping[str, str], body: bytes, served: Served | None = None
    ) -> None:
        self._head(status, {**headers, "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)
        if served:
            served.sent = len(body)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {"x-amzn-RequestId": str(uuid.uuid4()), **headers}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _pass_on(self, routed: Routed, served: Served) -> bytes:
        """The container's answer, part by part; returns its end, to be written when nothing is under way."""
        answer = routed.answer
        headers = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
        has_body = self.command != "HEAD" and answer.status not in _WITHOUT_BODY
        if length := answer.headers.get("content-length"):
            headers["Content-Length"] = length
        elif has_body:
            headers["Transfer-Encoding"] = "chunked"
        self._head(answer.status, headers)
        if not has_body:
            return b""
        end = b""
        try:
            for part in routed.parts():
                served.sent += len(part)
                self.wfile.write(end if length else _chunk(part))
                end = part
        except NoAnswerError as error:
            self.close_connection = True  # half an answer must not look like a whole one
            served.note = str(error)
            return b""
        return end if length else _chunk(b"")

    def _stream_events(self, routed: Routed, served: Served) -> None:
        """Each part that the container flushes becomes a PayloadPart (HOST-65)."""
        headers = _returned(routed.answer)
        headers["X-Amzn-SageMaker-Content-Type"] = headers.pop("Content-Type", "application/octet-stream")
        headers |= {"Content-Type": event_stream.CONTENT_TYPE, "Transfer-Encoding": "chunked"}
        self._head(200, headers)
        try:
            for part in routed.parts():
                served.sent += len(part)
                self.wfile.write(_chunk(event_stream.payload_part(part)))
        except NoAnswerError as error:  # HOST-68
            served.note = f"{error.container} {'was too slow' if error.is_late else 'broke off'}"
            members = {
                "ErrorCode": "ModelInvocationTimeExceeded" if error.is_late else "StreamBroken",
                "Message": f"{served.note} in the middle of its response stream.",
            }
            self.wfile.write(_chunk(event_stream.exception("ModelStreamError", members)))


def _returned(answer: OpenAnswer) -> dict[str, str]:
    """The headers that the API gives back; all others of the container are dropped (HOST-54)."""
    headers = {name: answer.headers[name.lower()] for name in RETURNED if name.lower() in answer.headers}
    headers["Content-Type"] = answer.headers.get("content-type", "application/octet-stream")
    return {**headers, "x-Amzn-Invoked-Production-Variant": VARIANT}


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)
