"""Errors in the form of OpenAI's API: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from opt_ml.serving.answers import Answer
from opt_ml.serving.workers.jobs import Client


class ChatClient:
    """A client of the chat path: errors of the server and of the handler reach it in OpenAI's form.

    Args:
        client: gets the answers.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.send = client.send
        self.finish = client.finish
        self.abort = client.abort

    def respond(self, answer: Answer) -> None:
        """The whole answer."""
        self._client.respond(answer if answer.status < 400 else as_openai(answer))

    def start(self, answer: Answer, hold: Callable[[bool], None]) -> None:
        """See `Client.start`."""
        self._client.start(answer, hold)


def as_openai(answer: Answer) -> Answer:
    """An answer of `error_answer` in the other form; one of another form as it is."""
    try:
        content = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return answer
    if not isinstance(content, dict) or not isinstance(content.get("error"), str):
        return answer
    return answer._replace(body=orjson.dumps(error_object(answer.status, content.pop("error"), content)))


def error_object(status: int, cause: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The error as OpenAI's clients read it, with the details beside it.

    Args:
        status: of HTTP.
        cause: one line.
        details: `param`, the key of the request that is wrong, and others.
    """
    message = cause.encode(errors="replace").decode()  # JSON has no bytes for lone surrogates
    known = {"message": message, "type": "invalid_request_error" if status < 500 else "server_error"}
    return {"error": {**known, "param": None, "code": None, **(details or {})}}
