"""Requests that are refused while they are still being received."""

from __future__ import annotations

from opt_ml.errors import RequestError

HEADER_LIMIT = 64 * 1024
"""Bytes of one request's target and headers together."""


def headers_too_long() -> RequestError:
    """For more than HEADER_LIMIT."""
    return RequestError(431, f"The request's headers are longer than {HEADER_LIMIT} bytes. Send fewer.")


def body_too_large(most: int) -> RequestError:
    """For a body of more than `most` bytes."""
    return RequestError(
        413,
        f"The body is larger than {most / (1024 * 1024):g} MB. "
        "Send fewer records, or set SAGEMAKER_MAX_PAYLOAD_IN_MB.",
    )


def check_encoding(encoding: bytes) -> None:
    """Refuse a Content-Encoding; `encoding` is the header's value, or empty.

    Raises:
        RequestError: 415.
    """
    if encoding and encoding.lower() != b"identity":
        # The platform passes no such header on: who sends it would only see the packed bytes misread.
        name = encoding[:50].decode("latin-1")
        raise RequestError(415, f"Content-Encoding {name!r} is not supported. Send the body as it is.")
