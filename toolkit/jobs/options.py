"""Command-line values that several commands take: `NAME=VALUE` pairs, instance groups, times, sizes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.jobs.job_description import InstanceGroup


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


def parse_groups(texts: Sequence[str]) -> tuple[InstanceGroup, ...]:
    """`["big=ml.g5.xlarge:2", "small=ml.m5.large:1"]` -> instance groups.

    Raises:
        ToolkitError: a text of another form.
    """
    groups = []
    for name, value in parse_pairs("--instance-group", texts).items():
        instance_type, _, count = value.partition(":")
        if not instance_type or not re.fullmatch(r"[1-9]\d*", count):
            raise ToolkitError(
                f"--instance-group {name}={value}: this is not NAME=TYPE:COUNT.",
                f"For example: --instance-group {name}=ml.m5.large:2",
            )
        groups.append(InstanceGroup(name, instance_type, int(count)))
    return tuple(groups)


def parse_seconds(option: str, text: str) -> float:
    """`90`, `1.5`, `30s`, `10m` or `2h` -> seconds.

    Raises:
        ToolkitError: anything else, naming the option.
    """
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)([smh]?)", text.strip().lower())
    if not match:
        raise ToolkitError(f"{option} {text}: this is no time.", f"For example: {option} 90 or {option} 5m")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def read_hyperparameters(path: Path) -> dict[str, str]:
    """A JSON object as the platform passes it on: text stays, everything else becomes JSON text (TRAIN-30).

    Raises:
        ToolkitError: no such file, or not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ToolkitError(f"--hyperparameters {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ToolkitError(f"--hyperparameters {path} is not JSON: {error}.") from None
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


def read_payload(name: str, option: str = "--body") -> bytes:
    """The bytes of the file `name`, or of standard input for `-`.

    Args:
        name: of a file, or of a pipe, which is read once.
        option: under which it was given, for the error.

    Raises:
        ToolkitError: no such file.
    """
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ToolkitError(
            f"{option} {name} cannot be read: {error.strerror}.", "Use - for standard input."
        ) from None


def read_environment_file(path: Path) -> dict[str, str]:
    """Lines of NAME=VALUE, as `docker run --env-file` reads them; empty lines and comments (#) do not count.

    Raises:
        ToolkitError: no such file, or a line of another form, with its number.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ToolkitError(f"--env-file {path} cannot be read: {error.strerror}.") from None
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not (name.strip() and sign):
            raise ToolkitError(f"--env-file {path} line {number}: {line[:60]!r} is not NAME=VALUE.")
        values[name.strip()] = value
    return values
