"""The body of a chat completion, checked before the handler gets it.

What is checked is what every model needs, and what a handler cannot answer: several choices. Other keys
reach the handler as they came, and so does `model`, which may be any text or empty (HOST-72).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from opt_ml.errors import RequestError
from opt_ml.serving.media import JSON, parse_media_type

NO_CHATS = "This model answers no chats: its handler has no chat_fn."
_MARK = b'"messages"'


def read_chat(body: bytes, content_type: str | None) -> dict[str, Any]:
    """The request that came to the path of chat completions.

    Raises:
        RequestError: 415 for another type than JSON, 400 for a body that is no chat, with the key in `param`.
    """
    if content_type and parse_media_type(content_type).type != JSON:
        raise RequestError(415, f"A chat completion is {JSON}, but Content-Type is {content_type[:200]!r}.")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"The body is not JSON: {error}.") from None
    if not isinstance(content, dict):
        raise RequestError(400, "The body must be a JSON object with messages.")
    _check(content)
    return content


def find_chat(body: bytes, content_type: str | None) -> dict[str, Any] | None:
    """The request, where a body of /invocations is a chat: a JSON object with a list of messages.

    Raises:
        RequestError: 400 for one whose other keys are wrong.
    """
    if _MARK not in body or not body.lstrip().startswith(b"{"):
        return None
    if content_type and content_type.partition(";")[0].strip().lower() != JSON:
        return None
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("messages"), list):
        return None
    _check(content)
    return content


def wants_stream(request: Mapping[str, Any]) -> bool:
    """True for a client that wants the answer part by part."""
    return bool(request.get("stream"))


def wants_usage(request: Mapping[str, Any]) -> bool:
    """True where the last event of a stream shall hold the counts of tokens."""
    return bool((request.get("stream_options") or {}).get("include_usage"))


def _check(request: Mapping[str, Any]) -> None:
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "must be a list of at least one message")
    for number, message in enumerate(messages):
        _check_message(message, f"messages[{number}]")
    for key, (is_right, meaning) in _KEYS.items():
        value = request.get(key)
        if value is not None and not is_right(value):
            raise _wrong(key, f"must be {meaning}")


def _check_message(message: Any, name: str) -> None:
    if not isinstance(message, dict):
        raise _wrong(name, "must be an object with role and content")
    if not isinstance(message.get("role"), str) or not message["role"]:
        raise _wrong(f"{name}.role", "must be a text such as user")
    content = message.get("content")
    if content is None and not message.get("tool_calls"):
        raise _wrong(f"{name}.content", "is missing")
    if not isinstance(content, str | list | None):
        raise _wrong(f"{name}.content", "must be a text or a list of parts")


def _wrong(key: str, what: str) -> RequestError:
    return RequestError(400, f"{key} {what}.", param=key)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value > 0


def _between(low: float, high: float) -> Callable[[Any], bool]:
    def is_right(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return is_right


def _is_stop(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(text, str) for text in value)
    )


_KEYS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "model": (lambda value: isinstance(value, str), "a text"),
    "stream": (lambda value: isinstance(value, bool), "true or false"),
    "stream_options": (lambda value: isinstance(value, dict), "an object"),
    "max_tokens": (_is_count, "a whole number of 1 or more"),
    "max_completion_tokens": (_is_count, "a whole number of 1 or more"),
    "temperature": (_between(0, 2), "a number from 0 to 2"),
    "top_p": (_between(0, 1), "a number from 0 to 1"),
    "stop": (_is_stop, "a text or a list of texts"),
    "seed": (_is_whole, "a whole number"),
    "n": (lambda value: value == 1, "1: there is one choice"),
    "tools": (lambda value: isinstance(value, list), "a list"),
}
