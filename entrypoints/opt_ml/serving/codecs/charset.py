"""Bytes to text in the charset that the client names."""

from __future__ import annotations

import codecs

from opt_ml.errors import RequestError

# Python has them as text encodings, but they are of host names: a body of a megabyte takes minutes.
_OF_HOST_NAMES = frozenset({"idna", "punycode"})


def check_charset(charset: str) -> None:
    """Refuse a charset that does not exist, or is none of texts.

    Raises:
        RequestError: 400.
    """
    try:
        "".encode(charset)  # looks it up, and leaves out the codecs that are not of texts
        is_known = codecs.lookup(charset).name not in _OF_HOST_NAMES
    except (LookupError, ValueError):  # ValueError: a null in the name, or the charset `undefined`
        is_known = False
    if not is_known:
        raise RequestError(400, f"Charset {charset[:50]!r} is unknown. Send the text in utf-8.")


def to_text(body: bytes, charset: str = "utf-8") -> str:
    """The text of a body.

    Raises:
        RequestError: 400 for a charset that does not exist, or bytes that are not valid in it, with the line.
    """
    check_charset(charset)
    try:
        return body.decode(charset)
    except UnicodeError as error:
        at = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = body.count(b"\n", 0, at) + 1
        raise RequestError(
            400, f"Line {line}: byte {at} is not valid {charset}. Send the text in utf-8.", line=line
        ) from None
