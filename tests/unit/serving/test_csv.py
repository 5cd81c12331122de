"""CSV bodies to tables."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import decode_table, promote_header
from opt_ml.serving.codecs.csv_text import decode_numbers, decode_text
from opt_ml.serving.table import Table


def table(body: bytes | str, content_type: str = "text/csv") -> Table:
    return decode_table(body.encode() if isinstance(body, str) else body, content_type)


def refusal(body: bytes | str, content_type: str = "text/csv") -> RequestError:
    with pytest.raises(RequestError) as error:
        table(body, content_type)
    assert error.value.status == 400
    assert "\n" not in error.value.message
    return error.value


@pytest.mark.parametrize(
    "body",
    [
        "1,2.5\n-3,4e2\n",
        "1,2.5\r\n-3,4e2",
        " 1, 2.5\n-3 ,4E+2\n\n",
        '"1",2.5\n-3,"4e2"',
        "\ufeff1,2.5\n-3,400",
    ],
)
def test_numbers_become_float64_however_they_are_written(body):
    found = table(body)
    assert found.values.dtype == np.float64
    assert found.values.tolist() == [[1.0, 2.5], [-3.0, 400.0]]
    assert found.names is None


@pytest.mark.parametrize("body", ["1,,3", "1,nan,3", "1,NaN,3", "1, ,3", '1,"",3'])
def test_an_empty_field_and_nan_are_missing(body):
    assert np.isnan(table(body).values[0, 1])
    assert table(body).values[0, [0, 2]].tolist() == [1.0, 3.0]


def test_many_missing_fields_still_take_the_fast_path():
    found = decode_numbers(b",,\n1,,\n,,2\n,1,\n")
    np.testing.assert_array_equal(found.values, decode_text(b",,\n1,,\n,,2\n,1,\n").values)
    assert np.isnan(found.values).sum() == 9


def test_texts_stay_as_they_were_sent_beside_numbers_and_none():
    found = table('1,"a ""b"", c",\n+.5, x,nan\n1_0,\u0663,inf\n')
    assert found.values.dtype == object
    assert found.values.tolist() == [[1.0, 'a "b", c', None], [0.5, " x", None], ["1_0", "\u0663", np.inf]]


def test_an_empty_line_is_a_missing_value_where_there_is_one_column():
    assert np.isnan(table("1\n\n2\n").values[1, 0])
    assert len(table("1\n\n2\n")) == 3


@pytest.mark.parametrize(
    ("body", "row", "line", "words"),
    [
        ("1,2\n3\n", 2, 2, "Row 2 has 1 fields, but 2 are expected"),
        ("1,2\n3,4\n5,6,7\n", 3, 3, "Row 3 has 3 fields, but 2 are expected"),
        ("1,2,3\n4,5\n6,7,8,9\n", 2, 2, "Row 2 has 2 fields"),  # as many commas as a good table
        ('"a\nb",2\n3\n', 2, 3, "Line 3: Row 2 has 1 fields"),
        ("1,2\n\n3,4\n", 2, 2, "Row 2 has 1 fields"),
        ('1,2\n"3,4\n', 2, 2, "not valid CSV"),
        ('1,2\n"3"x,4\n', 2, 2, "not valid CSV"),
    ],
)
def test_a_ragged_or_broken_row_is_named_by_row_and_line(body, row, line, words):
    error = refusal(body)
    assert words in error.message
    assert (error.details["row"], error.details["line"]) == (row, line)


def test_a_ragged_row_is_named_by_column_too():
    assert refusal("1,2,3\n4,5\n").details["column"] == 3
    assert refusal("1,2\n3,4,5\n").details["column"] == 3


@pytest.mark.parametrize("body", ["", "\n", "\r\n\r\n", "  ", "\ufeff", '""'])
def test_an_empty_body_is_refused(body):
    assert "empty" in refusal(body).message


@pytest.mark.contract("HOST-58")
def test_bytes_that_are_not_in_the_charset_are_named_by_line():
    assert refusal(b"1,2\n3,\xff\n").message.startswith("Line 2: byte 6 is not valid utf-8")
    assert table(b"\xe9,1", "text/csv; charset=latin-1").values[0, 0] == "\xe9"
    assert table(b"\xe9,1", 'Text/CSV;CHARSET="ISO-8859-1"').values[0, 0] == "\xe9"
    assert table("1,\xe9".encode("utf-16"), "text/csv; charset=utf-16").values[0, 1] == "\xe9"
    assert "not valid utf-16" in refusal(b"1,\xff\xd8", "text/csv; charset=utf-16").message
    assert "unknown" in refusal(b"\xe9", "text/csv; charset=klingon").message


@pytest.mark.parametrize(
    "charset", ["zip", "undefined", "idna", "puny_code", "punycode", "", "utf-8\\\0", "a" * 900]
)
def test_a_charset_that_is_none_of_texts_is_refused(charset):
    assert "unknown" in refusal(b"\xe9", f'text/csv; charset="{charset}"').message


def test_header_present_gives_names_and_header_absent_does_not():
    named = table("age, sex\n1,2\n", "text/csv; header=present")
    assert (named.names, named.values.tolist()) == (("age", "sex"), [[1.0, 2.0]])
    assert table("1,2\n3,4", "text/csv; header=absent").names is None
    assert table("1,2\n3,4", "text/csv; header=Present").names == ("1", "2")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("a,b\n", "only a header"),
        ("a,a\n1,2\n", "Column 2 of the CSV header repeats the name 'a'"),
        ("a,\n1,2\n", "Column 2 of the CSV header has no name"),
        ("a,b\n1\n", "Row 2 has 1 fields"),
    ],
)
def test_a_bad_header_is_named_by_column(body, words):
    assert words in refusal(body, "text/csv; header=present").message


def test_a_first_row_of_exactly_the_feature_names_becomes_the_names():
    promoted = promote_header(table("b, a\n1,2\n3,\n"), ["a", "b"])
    assert promoted.names == ("b", "a")
    assert promoted.values.dtype == np.float64
    assert promoted.values[0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "body", ["1,2\n", "a,c\n1,2\n", "a,b,c\n1,2,3\n", "a,a\n1,2\n", "a,\n1,2\n", "x,y\n"]
)
def test_any_other_first_row_is_a_record(body):
    found = table(body)
    assert promote_header(found, ["a", "b"]) is found


def test_promotion_needs_a_record_and_leaves_names_that_are_there():
    with pytest.raises(RequestError, match="only a header"):
        promote_header(table("a,b\n"), ["a", "b"])
    named = table("a,b\nx,2\n", "text/csv; header=present")
    assert promote_header(named, ["x", "y"]) is named


FIELDS = st.sampled_from(
    ["1", "-2.5", "1e5", "0", "-0", "+1", ".5", "1.", "01", "", " 3 ", "nan", "1e999", "12345678901234567890",
     "0.1", "4.9e-324", "1 2", "e", "-", "true", "null", "[1]", '"5"', '"a,b"', "x", "1\r2"]
)  # fmt: skip
ROWS = st.lists(st.lists(FIELDS, min_size=1, max_size=3), min_size=1, max_size=4)
NUMBERS = st.lists(
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), min_size=2, max_size=2),
    min_size=1,
    max_size=5,
)


def outcome(decode, body):
    try:
        return decode(body)
    except RequestError as error:
        return error.message


@given(ROWS, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["", "\n", "\r\n", "\n\n"]))
@example([["1", "2"], ["3"], ["4", "5", "6"]], "\n", "")
@example([["1"]], "\n", "\n\n")
def test_the_fast_path_agrees_with_the_slow_path_wherever_it_answers(rows, line_end, last):
    body = line_end.join(",".join(row) for row in rows) + last
    fast = decode_numbers(body.encode())
    if fast is not None:
        slow = decode_text(body.encode())
        assert slow.values.dtype == np.float64
        np.testing.assert_array_equal(fast.values, slow.values)
    assert outcome(table, body.encode()) is not None


@given(st.text(alphabet="0123456789+-.eE, \n\r", max_size=30) | st.text(alphabet="1,,,,\n", max_size=30))
@example(",,\n1,,\n,,2\n,1,\n")
@example(",\n,\n\n")
def test_the_fast_path_agrees_with_the_slow_path_on_any_text_of_its_alphabet(body):
    fast = decode_numbers(body.encode())
    if fast is not None:
        np.testing.assert_array_equal(fast.values, decode_text(body.encode()).values)


@given(NUMBERS)
def test_the_fast_path_takes_every_number_that_python_writes_and_reads_it_exactly(rows):
    body = "\n".join(",".join(map(repr, row)) for row in rows)
    np.testing.assert_array_equal(table(body).values, np.array(rows, dtype=np.float64))
    if all(len(field) < 19 for line in body.split("\n") for field in line.split(",")):
        assert decode_numbers(body.encode()) is not None


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), min_size=1, max_size=5))
def test_any_text_that_the_csv_module_writes_is_read_back(rows):
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    body = stream.getvalue()
    if not any(field.strip() for row in rows for field in row):
        return
    try:
        found = decode_text(body.encode())
    except RequestError:
        pytest.fail(body)
    for row, sent in zip(found.values.tolist(), rows, strict=False):
        for value, text in zip(row, sent, strict=True):
            assert value == text or value is None or isinstance(value, float)


@given(st.binary(max_size=60), st.sampled_from(["text/csv", "text/csv; header=present", "application/json",
       "application/jsonlines", "application/x-npy", ""]))  # fmt: skip
@example(b"[" * 100_000 + b"NaN", "application/json")
@example(b"\x93NUMPY\x01\x00", "application/x-npy")
def test_any_bytes_are_a_table_or_a_refusal(body, content_type):
    try:
        assert len(decode_table(body, content_type)) > 0
    except RequestError as error:
        assert error.status in (400, 415)


def test_a_long_field_is_no_broken_csv():
    assert decode_table(b'"' + b"x" * 200_000 + b'",1\n', "text/csv").values[0, 0] == "x" * 200_000


@pytest.mark.contract("HOST-58")
def test_label_size_passes_over_the_columns_at_the_left():
    assert table("1,2\n3,4", "text/csv; label_size=0").values.tolist() == [[1, 2], [3, 4]]
    assert table("1,2\n3,4", "text/csv;label_size=1").values.tolist() == [[2], [4]]
    found = table("label,a\nyes,1\n", "text/csv; header=present; label_size=1")
    assert (found.values.tolist(), found.names) == ([[1]], ("a",))
    assert found.values.dtype == np.float64


@pytest.mark.parametrize("size", ["2", "-1", "x", "", "9" * 5000, "\u0661"])
def test_a_label_size_that_leaves_no_column_is_refused(size):
    assert "label_size" in refusal("1,2", f'text/csv; label_size="{size[:900]}"').message
