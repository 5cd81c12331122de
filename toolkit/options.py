"""Command-line values that several commands take: `NAME=VALUE` pairs, channels, sizes."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.training_job import Channel


def parse_pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """`["a=1", "b=x=y"]` -> `{"a": "1", "b": "x=y"}`; the last of two equal names counts.

    Raises:
        ToolkitError: a text without a name and `=`, naming the option.
    """
    pairs = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise ToolkitError(
                f"{option} {text}: this is not NAME=VALUE.", f"For example: {option} name=value"
            )
        pairs[name] = value
    return pairs


def parse_channels(texts: Sequence[str]) -> tuple[Channel, ...]:
    """`["train=data.csv", "test=more.csv,text/csv"]` -> channels.

    A path may hold commas: only an ending that looks like a media type is one.

    Raises:
        ToolkitError: no name, no `=` or no path.
    """
    channels = []
    for text in texts:
        name, _, value = text.partition("=")
        if not (name and value):
            raise ToolkitError(
                f"--channel {text}: this is not NAME=PATH.",
                "For example: --channel train=data/train.csv or --channel train=data/train.csv,text/csv",
            )
        path, _, ending = value.rpartition(",")
        typed = path and ending.count("/") == 1 and not Path(value).exists()
        channels.append(Channel(name, Path(path), ending) if typed else Channel(name, Path(value)))
    return tuple(channels)


def read_hyperparameters(path: Path) -> dict[str, str]:
    """A JSON object as the platform passes it on: text stays, everything else becomes JSON text (TRAIN-30).

    Raises:
        ToolkitError: no such file, or not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolkitError(f"--hyperparameters {path} cannot be read: {error}.") from None
    if not isinstance(values, dict):
        raise ToolkitError(f"--hyperparameters {path} must hold one JSON object, such as {{}}.")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def parse_size(text: str) -> int:
    """`512m`, `4g` or a plain number of bytes -> bytes, as `docker run --memory` reads it.

    Raises:
        ToolkitError: anything else.
    """
    match = re.fullmatch(r"(\d+)([bkmg]?)", text.lower())
    if not match or int(match[1]) == 0:
        raise ToolkitError(
            f"--memory {text}: this is not a size.", "For example: --memory 512m or --memory 4g"
        )
    return int(match[1]) * {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}[match[2]]


def terminate_like_interrupt() -> None:
    """Let SIGTERM end this program as Ctrl-C does, so that its containers are removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def read_payload(name: str) -> bytes:
    """The bytes of the file `name`, or of standard input for `-`.

    Raises:
        ToolkitError: no such file.
    """
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ToolkitError(
            f"--payload {name} cannot be read: {error.strerror}.", "Use - for standard input."
        ) from None
