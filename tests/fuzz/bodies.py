"""Hypothesis strategies for requests that nobody should send.

`FUZZ_EXAMPLES` in the environment says how many examples each fuzz test tries.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import SEEDS, framed

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))


def fuzzed(share: float = 1.0, shrinks: bool = True) -> settings:
    """Settings of one fuzz test.

    Args:
        share: its part of EXAMPLES.
        shrinks: a failing example is made small, which takes hundreds of runs.
    """
    return settings(
        phases=[phase for phase in Phase if shrinks or phase not in (Phase.shrink, Phase.explain)],
        max_examples=max(1, int(EXAMPLES * share)),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


class Shot(NamedTuple):
    """One request: header values as the server decodes them, None where the client sends none."""

    body: bytes
    content_type: str | None
    accept: str | None


_WORDS = rb"""
nan NaN -inf Infinity 1e999 - + . 0x1 1_0 null true , : ; # ] { } " ' \u0000
{"a": "instances": "columns": "data":
column_0 qid: PAR1 (-1,) '|O' '<U0' '<M8[ns]' '<c16' (9223372036854775807,)
"""
TOKENS = [
    *_WORDS.split(),
    *(b"9" * 400, b"[" * 40, b"(0, 9)", b"PK\x05\x06", b"\x93NUMPY\x02\x00", b"\x80" * 11, b"\x00" * 8),
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc2\x85", b"\r", b"\n", b"\r\n"),
    *(b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"),
]
_TOKEN = st.sampled_from(TOKENS) | st.binary(max_size=4)
_PLACE = st.floats(0, 1)
_CHANGE = st.tuples(
    st.sampled_from(["insert", "replace", "delete", "repeat", "flip", "cut"]), _PLACE, _PLACE, _TOKEN
)


def _changed(body: bytes, changes: list[tuple[str, float, float, bytes]]) -> bytes:
    for kind, place, extent, token in changes:
        at = int(place * len(body))
        end = min(len(body), at + int(extent**4 * len(body)) + 1)
        match kind:
            case "insert":
                body = body[:at] + token + body[at:]
            case "replace":
                body = body[:at] + token + body[at + len(token) :]
            case "delete":
                body = body[:at] + body[end:]
            case "repeat":
                body = body[:at] + body[at:end] * (2 + int(extent * 6)) + body[end:]
            case "flip" if at < len(body):
                body = body[:at] + bytes([body[at] ^ 1 << int(extent * 7)]) + body[at + 1 :]
            case "cut":
                body = body[:at]
    return body[:200_000]


def mutated(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A seed with up to six changes."""
    return st.builds(_changed, st.sampled_from(seeds), st.lists(_CHANGE, max_size=6))


_SCALAR = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6)
    | st.sampled_from(["column_0", "features", "instances"])
)  # fmt: skip
_KEY = st.sampled_from(
    ["instances", "inputs", "data", "columns", "index", "features", "column_0", "column_3", ""]
)
_JSON = st.recursive(
    _SCALAR,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(_KEY | st.text(max_size=4), inner, max_size=5)
    ),
)
_FIELD = (
    st.sampled_from(TOKENS) | st.floats().map(lambda number: repr(number).encode()) | st.binary(max_size=6)
)
_LINES = st.lists(st.lists(_FIELD, max_size=5), max_size=6)


def _written(lines: list[list[bytes]], separator: bytes) -> bytes:
    return b"\n".join(separator.join(line) for line in lines)


_GROWN = {
    "text/csv": st.builds(_written, _LINES, st.just(b",")),
    "text/libsvm": st.builds(_written, _LINES, st.sampled_from([b" ", b":", b" 1:"])),
    "application/json": _JSON.map(lambda content: json.dumps(content).encode()),
    "application/jsonlines": st.lists(_JSON, max_size=4).map(
        lambda records: b"\n".join(json.dumps(record).encode() for record in records)
    ),
    "application/x-recordio-protobuf": st.lists(st.binary(max_size=40), max_size=4).map(
        lambda found: framed(*found)
    ),
}


def bodies(content_type: str) -> st.SearchStrategy[bytes]:
    """Bodies that nearly hold what a media type says, and some that do not try."""
    found = mutated(SEEDS[content_type])
    if content_type in _GROWN:
        found |= _GROWN[content_type]
    return found | st.binary(max_size=200)


_PARAMETER = st.tuples(
    st.sampled_from(["charset", "header", "label_size", "q", "output", "verbose", ""]) | st.text(max_size=4),
    st.sampled_from(
        [
            "utf-8",
            "latin-1",
            "utf-16",
            "utf-7",
            "undefined",
            "idna",
            "hex",
            "present",
            "absent",
            "0",
            "1",
            "-1",
            '"',
            "",
        ]
    )
    | st.text(max_size=6),
)
_VALUE = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)


def _typed(name: str, parameters: list[tuple[str, str]], separator: str) -> str:
    return name + "".join(f"{separator}{key}={value}" for key, value in parameters)


def media_types(*names: str) -> st.SearchStrategy[str]:
    """A Content-Type of one of these names, with parameters that may be none."""
    return st.builds(
        _typed,
        st.sampled_from(names),
        st.lists(_PARAMETER, max_size=2),
        st.sampled_from([";", "; ", " ;", ","]),
    )


ACCEPTS = (
    st.none()
    | st.sampled_from(["*/*", "text/csv", "application/json", "application/jsonlines", "application/x-npy"])
    | st.lists(media_types(*SEEDS, "*/*", "text/*"), max_size=4).map(",".join)
    | _VALUE
)


@st.composite
def shots(draw: st.DrawFn) -> Shot:
    """A request of any kind; most say the type that they nearly are."""
    kind = draw(st.sampled_from(list(SEEDS)))
    content_type = draw(
        st.just(kind)
        | st.just(kind)
        | media_types(kind)
        | media_types(*SEEDS)
        | st.none()
        | st.just("")
        | _VALUE
    )
    return Shot(draw(bodies(kind)), content_type, draw(ACCEPTS))
