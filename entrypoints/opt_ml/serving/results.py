"""What a function of a handler returned, as an answer."""

from __future__ import annotations

from typing import Any

from opt_ml.serving.answers import Answer
from opt_ml.serving.context import SERVERS_OWN, Context
from opt_ml.serving.media import JSON

WITHOUT_BODY = frozenset({204, 205, 304})  # RFC 9110: a client would take a body for its next answer


def choose_type(given: Any, wanted: str, context: Context) -> str:
    """The Content-Type of an answer.

    Args:
        given: by the function; empty where it says none.
        wanted: the Accept that the function was called with.
        context: where the handler may have set another.

    Raises:
        TypeError: what is given cannot stand in a header.
    """
    if given == "":
        is_one = "*" not in wanted and "," not in wanted and _is_clean(wanted)
        given = wanted if is_one else JSON
    name = context.response_content_type or given
    if not isinstance(name, str) or not _is_clean(name):
        raise TypeError(f"the handler returned {name!r} as content type; return one such as {JSON}")
    return name


def _is_clean(text: str) -> bool:
    """True for what may stand in a header."""
    return text.isascii() and text.isprintable()


def take_response(response: Any, context: Context) -> tuple[bytes, str]:
    """The body and Content-Type of a response as Flask has it; its status and headers go to the context."""
    context.set_response_status(response.status_code)
    for name, value in response.headers.items():
        if name.lower() not in SERVERS_OWN:
            context.set_response_header(0, name, value)
    return response.get_data(), response.content_type or ""


def whole_answer(body: Any, content_type: str, context: Context) -> Answer:
    """The answer, with the status and the headers that the handler has set in the context.

    Raises:
        TypeError: the body is neither bytes nor text.
    """
    if context.status in WITHOUT_BODY:
        body = b""
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError(
            f"the handler returned a {type(body).__name__}; return bytes, str or (body, content type)"
        )
    headers = tuple(context.response_headers.items())
    return Answer(context.status or 200, content_type, bytes(body), headers=headers)
