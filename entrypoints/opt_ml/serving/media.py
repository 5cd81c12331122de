"""Media types: Content-Type and Accept, with parameters and quality values (RFC 9110, HOST-58)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from opt_ml.errors import RequestError

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = ("application/jsonlines", "application/jsonl", "application/x-jsonlines")
EVENT_STREAM = "text/event-stream"
NPY = "application/x-npy"
NPZ = "application/x-npz"
PARQUET = ("application/x-parquet", "application/vnd.apache.parquet")
LIBSVM = ("text/libsvm", "text/x-libsvm")
RECORDIO_PROTOBUF = "application/x-recordio-protobuf"
OCTET_STREAM = "application/octet-stream"

LONGEST = 1024  # characters that the InvokeEndpoint API lets through; the patterns are slow on much more

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 calls it a token
_TYPE = re.compile(rf"\s*({_TOKEN}/{_TOKEN})\s*")
_PARAMETER = re.compile(rf';\s*(?:({_TOKEN})\s*=\s*({_TOKEN}|"(?:[^"\\]|\\.)*")\s*)?')
_LIST_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')


@dataclass(frozen=True)
class MediaType:
    """One media type.

    Attributes:
        type: `type/subtype` in lower case.
        parameters: name in lower case to value, unquoted, as it was sent.
    """

    type: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=256)  # clients send the same few headers in every request
def parse_media_type(text: str) -> MediaType:
    """Parse a Content-Type header.

    Raises:
        RequestError: 415 where the text is not `type/subtype` with optional `; name=value`, or too long.
    """
    parsed = _parse(text) if len(text) <= LONGEST else None
    if parsed is None:
        raise RequestError(415, f"Content-Type {text[:200]!r} is not a media type. Send one such as {CSV}.")
    return parsed


def choose_accept(accept: str | None, supported: Sequence[str], default: str) -> MediaType:
    """The media type of the answer, by the client's wishes (RFC 9110, section 12.5.1).

    The highest `q` wins; among equals an exact type before a wildcard, then the order of the header.
    A wildcard takes `default` where it matches, else the first of `supported` that does.

    Args:
        accept: the Accept header as it came, or None.
        supported: `type/subtype` in lower case, best first.
        default: taken when `accept` is missing, empty or `*/*` (HOST-57, HANDLER-11).

    Returns:
        the chosen type, with the parameters that the client gave it, without `q`.

    Raises:
        RequestError: 406 where nothing of `supported` is acceptable, or `accept` is too long.
    """
    if accept is not None and len(accept) > LONGEST:
        raise RequestError(
            406,
            f"Accept has {len(accept)} characters, but at most {LONGEST} are read. "
            f"Ask for one of: {', '.join(supported)}.",
            supported=list(supported),
        )
    chosen = _choose(accept or "", tuple(supported), default)
    if chosen is None:
        raise RequestError(
            406,
            f"Accept {(accept or '')[:200]!r} is not supported. Ask for one of: {', '.join(supported)}.",
            supported=list(supported),
        )
    return chosen


@lru_cache(maxsize=256)
def _choose(accept: str, supported: tuple[str, ...], default: str) -> MediaType | None:
    if not accept.strip() or accept.strip() == "*/*":
        return _parse(default)
    wishes = []
    for position, item in enumerate(_LIST_ITEM.findall(accept)):
        wish = _parse(item)
        if wish is None:
            continue
        wildcards = wish.type.count("*")
        wishes.append((-_quality(wish), wildcards, position, wish))
    refused = {wish.type for quality, _, _, wish in wishes if quality == 0}
    default_type = default.partition(";")[0].strip().lower()
    candidates = [name for name in (default_type, *supported) if name in supported and name not in refused]
    for quality, _, _, wish in sorted(wishes, key=lambda entry: entry[:3]):
        if quality == 0:
            continue
        for name in candidates:
            if _matches(wish.type, name):
                kept = {key: value for key, value in wish.parameters.items() if key != "q"}
                return MediaType(name, kept)
    return None


def _matches(pattern: str, name: str) -> bool:
    return pattern in (name, "*/*") or (pattern.endswith("/*") and name.startswith(pattern[:-1]))


def _quality(wish: MediaType) -> float:
    try:
        return min(max(float(wish.parameters.get("q", "1")), 0.0), 1.0)
    except ValueError:
        return 1.0


def _parse(text: str) -> MediaType | None:
    match = _TYPE.match(text)
    if match is None:
        return None
    parameters: dict[str, str] = {}
    end = match.end()
    while end < len(text):
        parameter = _PARAMETER.match(text, end)
        if parameter is None:
            return None
        name, value = parameter.groups()
        if name is not None:
            unquoted = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
            parameters[name.lower()] = unquoted
        end = parameter.end()
    return MediaType(match[1].lower(), parameters)
