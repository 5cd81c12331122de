"""LIBSVM bodies to tables, as XGBoost's container takes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import decode_table

NAN = float("nan")


def decode(body: bytes):
    return decode_table(body, "text/libsvm")


def refusal(body: bytes, status: int = 400) -> RequestError:
    with pytest.raises(RequestError) as error:
        decode(body)
    assert error.value.status == status
    assert "\n" not in error.value.message
    return error.value


@pytest.mark.contract("HOST-58")
@pytest.mark.parametrize("content_type", ["text/libsvm", "text/x-libsvm; charset=utf-8"])
@pytest.mark.parametrize(
    "body",
    [
        b"1 0:0.5 2:-3\n0 1:1e3\n",
        b"0:0.5 2:-3\r\n1:+1000.\r\n",
        b"\n# rows of two users\n-1 0:.5 2:-3 # the first\n+1 qid:7 1:1000\n\n",
        b"1\t0:0.5\t2:-3\n0 1:1000",
    ],
)
def test_indices_count_from_0_and_what_a_row_does_not_name_is_missing(content_type, body):
    table = decode_table(body, content_type)
    assert np.array_equal(table.values, [[0.5, NAN, -3], [NAN, 1000, NAN]], equal_nan=True)
    assert table.names is None


def test_a_table_is_open_ended_because_rows_end_at_their_last_value():
    table = decode(b"0:1\n").widened(3)
    assert np.array_equal(table.values, [[1, NAN, NAN]], equal_nan=True)
    assert decode(b"0:1 1:2 2:3\n").widened(2).values.shape == (1, 3)


def test_a_row_of_a_label_alone_has_every_value_missing():
    assert np.isnan(decode(b"1\n").values).all()


def test_nan_and_infinity_are_values():
    assert np.array_equal(decode(b"0:nan 1:inf").values, [[NAN, np.inf]], equal_nan=True)


@pytest.mark.parametrize(
    "line", ["1,2,3", "x 0:1", "1 0:1 2", "1 0:1:2", "1 -1:2", "1 a:2", "1 0:b", "1_0 0:1", "1 0:1_0", "0: 1"]
)
def test_a_line_that_is_not_libsvm_is_named(line):
    error = refusal(f"1 0:1\n\n{line}\n".encode())
    assert error.details == {"line": 3}
    assert error.message.startswith("Line 3 is not LIBSVM")


def test_an_empty_body_is_refused():
    assert "empty" in refusal(b" \n# nothing\n").message


@pytest.mark.parametrize("body", [b"1 99999999:1\n", b"1 9000:1\n" * 5000])
def test_a_few_bytes_that_stand_for_a_huge_table_are_413(body):
    assert "columns" in refusal(body, 413).message


def test_an_index_of_thousands_of_digits_is_refused():
    assert refusal(b"1 " + b"9" * 10_000 + b":1").details == {"line": 1}


ROWS = st.lists(st.dictionaries(st.integers(0, 40), st.floats(allow_nan=False)), min_size=1, max_size=20)


@given(ROWS, st.booleans())
def test_rows_come_back_as_they_were_written(rows, is_labelled):
    lines = [
        " ".join([*["1"][: is_labelled or not row], *(f"{i}:{v!r}" for i, v in row.items())]) for row in rows
    ]
    table = decode("\n".join(lines).encode())
    found = [{i: v for i, v in enumerate(row) if v == v} for row in table.values.tolist()]
    assert found == rows
