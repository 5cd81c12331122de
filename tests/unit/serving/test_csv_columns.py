"""CSV read by its columns, or a line or two of it by their fields, is the table that row by row makes."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.serving.codecs.csv_columns import read_columns
from opt_ml.serving.codecs.csv_rows import read_table

_FIELDS = [
    "1",
    "-2.5",
    "",
    "nan",
    "NaN",
    "inf",
    "a b",
    "7e3",
    "+1",
    ".5",
    "5.",
    " 3 ",
    "1_0",
    "true",
    "é",
    "00",
]
_FIELDS += ["12345678901234567890123", "-0.0", "1e400", "null", "-", "٣", "[1", "0x1"]


@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from(_FIELDS), min_size=width, max_size=width), min_size=1, max_size=9
        )
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_plain_columns_are_read_as_row_by_row(rows, line_end, ends_with_line):
    body = (line_end.join(map(",".join, rows)) + line_end * ends_with_line).encode()
    found, expected = read_columns(body), read_table(io.StringIO(body.decode(), newline=""), False)
    assert found is not None
    assert found.values.dtype == expected.values.dtype
    pairs = zip(found.values.ravel().tolist(), expected.values.ravel().tolist(), strict=True)
    assert [
        pair for pair in pairs if type(pair[0]) is not type(pair[1]) or repr(pair[0]) != repr(pair[1])
    ] == []


@pytest.mark.parametrize(
    "body",
    [
        b'1,"a"\n' * 9,
        b"1,a\n" * 5 + b"1\n",
        b"1,a\n" * 5 + b"\n",
        b"a\n" * 9,
        b"1,\xff\n" * 9,
        b"1,a\n\n",
        b"",
    ],
)
def test_what_is_not_plain_columns_is_left_to_reading_row_by_row(body):
    assert read_columns(body) is None
