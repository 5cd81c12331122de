"""`sagemaker_inference.utils`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_CONTENT_TYPE = re.compile("[Cc]ontent-?[Tt]ype")


def read_file(path: str, mode: str = "r") -> str | bytes:
    """The content of a file, which `mode` opens."""
    with Path(path).open(mode) as file:
        content: str | bytes = file.read()
    return content


def write_file(path: str, data: str | bytes, mode: str = "w") -> None:
    """Write a file, which `mode` opens."""
    with Path(path).open(mode) as file:
        file.write(data)


def retrieve_content_type_header(request_property: Mapping[str, str]) -> str | None:
    """The Content-Type among the headers of a request, however it is spelled."""
    return next((value for name, value in request_property.items() if _CONTENT_TYPE.match(name)), None)


def parse_accept(accept: str) -> list[str]:
    """The media types of an Accept header."""
    return accept.replace(" ", "").split(",")
