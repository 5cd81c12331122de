"""What a Dockerfile reads: for each stage the files, stages and named contexts that its steps can see.

Only that is read of the language: FROM, ARG, COPY, ADD and RUN --mount. Source of the rules: the Dockerfile
reference of BuildKit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::?-(?P<default>[^}]*))?\}|(?P<plain>\w+))")
_HEREDOC = re.compile(r"<<-?([\"']?)(\w+)\1")
_URL = re.compile(r"^(https?://|git@|git://)")


@dataclass(frozen=True)
class Use:
    """Something that a stage reads.

    Attributes:
        origin: name of a stage, of a named context or of an image; None for the build context.
        paths: what it reads there, relative to the origin's root, with wildcards; `.` is everything.
    """

    origin: str | None
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """One FROM and what follows it.

    Attributes:
        name: its AS name, or its number.
        uses: what it reads, that which it is FROM first.
    """

    name: str
    uses: tuple[Use, ...]


def stages(text: str, arguments: Mapping[str, str]) -> list[Stage]:
    """The stages of a Dockerfile, in order.

    Args:
        text: the file.
        arguments: build arguments; they stand before the defaults of ARG.
    """
    values = dict(arguments)
    found: list[tuple[str, list[Use]]] = []
    for keyword, flags, words in _instructions(text):
        if keyword == "ARG":
            for word in words:
                name, equals, default = word.partition("=")
                if equals:
                    values.setdefault(name, _expand(default.strip("\"'"), values))
        elif keyword == "FROM":
            name = words[2] if len(words) > 2 and words[1].upper() == "AS" else str(len(found))
            found.append((name, [Use(_expand(words[0], values), (".",))]))
        elif found:
            found[-1][1].extend(_uses(keyword, flags, words, values))
    return [Stage(name, tuple(uses)) for name, uses in found]


def _uses(keyword: str, flags: list[str], words: list[str], values: Mapping[str, str]) -> Iterator[Use]:
    if keyword in ("COPY", "ADD"):
        origin = next((flag.removeprefix("--from=") for flag in flags if flag.startswith("--from=")), None)
        sources = [
            _expand(word, values)
            for word in words[:-1]
            if not _HEREDOC.match(word) and not (keyword == "ADD" and _URL.match(word))
        ]
        if sources:
            yield Use(origin, tuple(_relative(source) for source in sources))
    elif keyword == "RUN":
        for flag in flags:
            if flag.startswith("--mount="):
                yield from _mount(flag.removeprefix("--mount="), values)


def _mount(options: str, values: Mapping[str, str]) -> Iterator[Use]:
    pairs = dict(part.partition("=")[::2] for part in options.split(","))
    kind = pairs.get("type", "bind")
    if kind == "bind" or (kind == "cache" and "from" in pairs):
        source = pairs.get("source", pairs.get("src", "."))
        yield Use(pairs.get("from"), (_relative(_expand(source, values)),))


def _relative(path: str) -> str:
    return path.strip("/").removeprefix("./").rstrip("/") or "."


def _expand(text: str, values: Mapping[str, str]) -> str:
    """`text` with its variables; one that nobody gives matches every file, so that nothing is missed."""

    def value(match: re.Match[str]) -> str:
        known = values.get(match["braced"] or match["plain"], match["default"])
        return "*" if known is None else known

    return _VARIABLE.sub(value, text)


def _instructions(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """(keyword in capitals, flags, words) of each instruction; the body of a here-document is passed over."""
    lines = iter(text.splitlines())
    for line in lines:
        logical = _logical_line(line, lines)
        if not logical:
            continue
        keyword, _, rest = logical.partition(" ")
        keyword = keyword.upper()
        if keyword in ("RUN", "COPY", "ADD"):
            for _, end in _HEREDOC.findall(rest):
                while next(lines, end).strip() != end:
                    pass
        flags = []
        while (rest := rest.lstrip()).startswith("--"):
            flag, _, rest = rest.partition(" ")
            flags.append(flag)
        yield keyword, flags, _words(rest)


def _logical_line(line: str, lines: Iterator[str]) -> str:
    """`line` and those that continue it, without comments."""
    parts: list[str] = []
    current: str | None = line
    while current is not None:
        stripped = current.strip()
        if stripped.startswith("#") or (not stripped and parts):
            current = next(lines, None) if parts else None  # comments may stand between continued lines
            continue
        if not stripped.endswith("\\"):
            parts.append(stripped)
            break
        parts.append(stripped[:-1].strip())
        current = next(lines, None)
    return " ".join(part for part in parts if part)


def _words(rest: str) -> list[str]:
    if rest.startswith("["):
        try:
            return [str(word) for word in json.loads(rest)]
        except ValueError:
            pass  # a shell command that begins with a bracket
    return rest.split()
