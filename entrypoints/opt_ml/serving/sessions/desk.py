"""Which requests open, use and close a session, and what they get (HOST-103 to HOST-105).

| request to /invocations | what happens |
|---|---|
| body `{"requestType": "NEW_SESSION"}` | a session is opened; the handler is not asked |
| header with `NEW_SESSION`, any other body | a session is opened, and the handler answers in it |
| header with an id | the handler answers in that session; 400 where it is unknown, closed or has ended |
| body `{"requestType": "CLOSE"}`, header with an id | it is closed; the handler is not asked |

The header is X-Amzn-SageMaker-Session-Id. Answers tell ids as X-Amzn-SageMaker-New-Session-Id,
with the time of the end, and X-Amzn-SageMaker-Closed-Session-Id. Where sessions are off only the handler
reads the header.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import orjson

from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.http.request_reader import Request
from opt_ml.serving.sessions.store import SessionStore
from opt_ml.serving.workers.jobs import Client

HEADER = b"x-amzn-sagemaker-session-id"
NEW = "NEW_SESSION"
CLOSE = "CLOSE"
_LONGEST_BODY = 1024  # bytes; a longer one is data
_KEY = "requestType"


class SessionDesk:
    """Where requests pass by on their way to the workers.

    Args:
        store: the sessions, or None where they are switched off.
    """

    def __init__(self, store: SessionStore | None) -> None:
        self._store = store

    def admit(self, request: Request, client: Client) -> Client | None:
        """Who gets the handler's answer; None where `client` was answered here.

        An id of a session that is opened now takes the place of the word in the request's header.
        """
        wish = _wish(request.body)
        name = request.header(HEADER)
        if wish is None and (name is None or self._store is None):
            return client
        if self._store is None:
            client.respond(
                _refusal("Sessions are off. Set SAGEMAKER_ENABLE_STATEFUL_SESSIONS=true on the model.")
            )
        elif isinstance(wish, Answer):
            client.respond(wish)
        elif wish == NEW or (wish is None and name == NEW):
            return self._open(self._store, request, client, is_all=wish == NEW)
        elif name is None:
            client.respond(_refusal(f"{CLOSE} needs the header X-Amzn-SageMaker-Session-Id."))
        elif not self._store.has(name):
            client.respond(
                _refusal(f"Session {name[:256]!r} is not open: it was closed, has ended, or never was.")
            )
        elif wish == CLOSE:
            self._close(self._store, name, client)
        else:
            return client
        return None

    def tick(self) -> None:
        """Remove what has ended; called now and then."""
        if self._store is not None:
            self._store.sweep()

    def gauges(self) -> dict[str, float]:
        """The state of now, for /metrics."""
        return {} if self._store is None else {"sessions_open": len(self._store)}

    def _open(self, store: SessionStore, request: Request, client: Client, is_all: bool) -> Client | None:
        try:
            name, end = store.open()
        except OSError as error:
            client.respond(error_answer(424, f"The session could not be opened ({error})."))
            return None
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end))
        header = ("X-Amzn-SageMaker-New-Session-Id", f"{name}; Expires={expires}")
        if is_all:
            client.respond(Answer(200, body=orjson.dumps({"session_id": name}), headers=(header,)))
            return None
        request.headers[HEADER] = name.encode()
        return _Announcing(client, header)

    def _close(self, store: SessionStore, name: str, client: Client) -> None:
        try:
            store.close(name)
        except OSError as error:
            client.respond(error_answer(424, f"What session {name} left could not be removed ({error})."))
            return
        header = ("X-Amzn-SageMaker-Closed-Session-Id", name)
        client.respond(Answer(200, body=orjson.dumps({"session_id": name}), headers=(header,)))


class _Announcing:
    """A client whose answer also says which session was opened for it."""

    def __init__(self, client: Client, header: tuple[str, str]) -> None:
        self._client = client
        self._header = header
        self.send = client.send
        self.finish = client.finish
        self.abort = client.abort

    def respond(self, answer: Answer) -> None:
        self._client.respond(self._with_header(answer))

    def start(self, answer: Answer, hold: Callable[[bool], None]) -> None:
        self._client.start(self._with_header(answer), hold)

    def _with_header(self, answer: Answer) -> Answer:
        return answer._replace(headers=(*answer.headers, self._header))


def _wish(body: bytes) -> str | Answer | None:
    """NEW or CLOSE, the answer to a body that means one of them and more, or None for a body of data."""
    if len(body) > _LONGEST_BODY or not body.startswith(b"{") or b'"requestType"' not in body:
        return None
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if content.get(_KEY) not in (NEW, CLOSE):
        return None
    if len(content) > 1:
        others = ", ".join(sorted(repr(key) for key in content if key != _KEY))
        return _refusal(f"{content[_KEY]} takes no other keys, but {others} came with it.")
    return str(content[_KEY])


def _refusal(cause: str) -> Answer:
    return error_answer(400, cause)
