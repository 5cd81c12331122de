"""Bytes to text in the charset that the client names."""

from __future__ import annotations

import codecs

from opt_ml.errors import RequestError

# Python has them as text encodings, but they are of host names: a body of a megabyte takes minutes.
_OF_HOST_NAMES = frozenset({"idna", "punycode"})


def to_text(body: bytes, charset: str = "utf-8") -> str:
    """The text of a body.

    Raises:
        RequestError: 400 for a charset that does not exist, or bytes that are not valid in it, with the line.
    """
    try:
        if codecs.lookup(charset).name in _OF_HOST_NAMES:
            raise LookupError(charset)
        return body.decode(charset)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise RequestError(
            400, f"Line {line}: byte {error.start} is not valid {charset}. Send the text in utf-8.", line=line
        ) from None
    except (LookupError, ValueError):  # ValueError: a null in the name, or the charset `undefined`
        raise RequestError(400, f"Charset {charset[:50]!r} is unknown. Send the text in utf-8.") from None
