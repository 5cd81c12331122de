"""Error bodies: JSON with the cause first, for a platform that shows 2048 characters of it (HOST-54)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

JSON = "application/json"
_CAUSE_CHARACTERS = 1500  # leaves room for the details and for escapes (HOST-55)


class Answer(NamedTuple):
    """What a request gets.

    Attributes:
        retry_after: seconds after which the client may try again, or None.
        allow: the methods of the path, for 405.
        headers: further ones, name and value.
    """

    status: int
    content_type: str = JSON
    body: bytes = b""
    retry_after: int | None = None
    allow: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


def error_answer(
    status: int,
    cause: str,
    details: Mapping[str, Any] | None = None,
    retry_after: int | None = None,
    allow: str | None = None,
) -> Answer:
    """`{"error": cause, **details}`.

    `retry_after` stands in the body too, because the platform drops response headers (HOST-54).
    """
    # A cause may quote the client's text, lone surrogates included, which JSON has no bytes for.
    content: dict[str, Any] = {"error": cause[:_CAUSE_CHARACTERS].encode(errors="replace").decode()}
    content.update(details or {})
    if retry_after is not None:
        content["retry_after_seconds"] = retry_after
    return Answer(status, JSON, orjson.dumps(content, default=str), retry_after, allow)
