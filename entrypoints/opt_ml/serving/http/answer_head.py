"""What HTTP/1.1 sends before the body of an answer."""

from __future__ import annotations

from http import HTTPStatus

from opt_ml.serving.answers import Answer

_REASONS = {status.value: status.phrase for status in HTTPStatus}


def head_of(answer: Answer, date: bytes, keep_alive: bool, is_chunked: bool | None = None) -> bytes:
    """The status line and the headers.

    Args:
        answer: the answer.
        date: the Date header.
        keep_alive: the connection may carry another request.
        is_chunked: for a stream, whether it is chunked; None for a whole body.
    """
    text = f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}\r\n"
    if answer.status == 204:  # has no length either (RFC 9110, section 8.6)
        pass
    elif is_chunked is None:
        text += f"Content-Length: {len(answer.body)}\r\n"
    elif is_chunked:
        text += "Transfer-Encoding: chunked\r\n"
    if answer.body or is_chunked is not None:
        text += f"Content-Type: {answer.content_type}\r\n"
    if answer.retry_after is not None:
        text += f"Retry-After: {answer.retry_after}\r\n"
    if answer.allow is not None:
        text += f"Allow: {answer.allow}\r\n"
    for name, value in answer.headers:
        text += f"{name}: {value}\r\n"
    if not keep_alive:
        text += "Connection: close\r\n"
    return text.encode("latin-1") + date + b"\r\n"
