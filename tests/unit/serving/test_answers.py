"""Which type an answer has, and how predictions are written."""

from __future__ import annotations

import csv
import io
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import (
    ENCODABLE,
    MediaType,
    choose_accept,
    encode_columns,
    parse_media_type,
)

CSV, JSON, LINES, NPY = "text/csv", "application/json", "application/jsonlines", "application/x-npy"


@pytest.mark.contract("HOST-58")
@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("text/csv", CSV, {}),
        ("Text/CSV;label_size=0", CSV, {"label_size": "0"}),
        (' text/csv ; charset="UTF-8"; Header=Present ;', CSV, {"charset": "UTF-8", "header": "Present"}),
        ('a/b; x="a;\\"b, c"', "a/b", {"x": 'a;"b, c'}),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet", {}),
    ],
)
def test_media_types_are_parsed_without_case_and_with_parameters(text, name, parameters):
    assert parse_media_type(text) == MediaType(name, parameters)


@pytest.mark.parametrize("text", ["", "csv", "text/", "text/csv; a", "text/csv x", "text/csv; a=b c"])
def test_what_is_no_media_type_is_415(text):
    with pytest.raises(RequestError) as error:
        parse_media_type(text)
    assert error.value.status == 415


@pytest.mark.contract("HOST-57", "HANDLER-11")
@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, CSV),
        ("", CSV),
        ("*/*", CSV),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("text/*", CSV),
        ("application/*", JSON),
        ("image/png, application/json", JSON),
        ("text/csv;q=0.4, application/json;q=0.5", JSON),
        ("application/json, text/csv", JSON),
        ("*/*, application/json", JSON),
        ("*/*;q=0.1, text/*;q=0.2", CSV),
        ("text/csv;q=0, */*", JSON),
        ("image/png, */*;q=0.1", CSV),
        ("application/json;q=oops", JSON),
        ("nonsense, application/json", JSON),
    ],
)
def test_the_best_wish_that_is_supported_is_chosen(accept, chosen):
    assert choose_accept(accept, [JSON, CSV], CSV).type == chosen


def test_parameters_of_the_wish_are_kept_without_q():
    wish = choose_accept('application/json;q=0.5;verbose="true"', [JSON], JSON)
    assert wish == MediaType(JSON, {"verbose": "true"})


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "image/*", "nonsense", ","])
def test_nothing_acceptable_is_406_that_lists_what_is_supported(accept):
    with pytest.raises(RequestError) as error:
        choose_accept(accept, [CSV], CSV)
    assert error.value.status == 406
    assert error.value.details == {"supported": [CSV]}
    assert CSV in error.value.message


@pytest.mark.parametrize("text", ["text/csv; a=" + '"\\' * 30_000, "text/csv;" + " " * 60_000])
def test_a_header_longer_than_the_api_sends_is_refused_before_any_pattern(text):
    started = time.monotonic()
    with pytest.raises(RequestError) as error:
        choose_accept(text, [CSV, JSON], CSV)
    assert (error.value.status, error.value.details) == (406, {"supported": [CSV, JSON]})
    with pytest.raises(RequestError) as error:
        parse_media_type(text)
    assert error.value.status == 415
    assert len(error.value.message) < 500
    assert time.monotonic() - started < 1


def test_a_header_of_the_longest_length_is_read():
    text = "text/csv; a=".ljust(1024, "b")
    assert parse_media_type(text).type == choose_accept(text, [JSON, CSV], JSON).type == CSV


TWO = {"value": np.array([0.1, np.nan, 1e300]), "label": np.array(['a"b', "c,d", "\xe9"], dtype=object)}


@pytest.mark.contract("BATCH-13", "BATCH-14", "HOST-110")
@pytest.mark.parametrize(
    ("columns", "accept", "body"),
    [
        ({"v": np.array([0.1, np.nan, 2])}, CSV, b"0.1\n\n2.0\n"),
        ({"v": np.array([0.1, 3e-8], np.float32)}, CSV, b"0.1\n3e-8\n"),
        ({"v": np.array([np.inf, -np.inf, 0.5])}, CSV, b"inf\n-inf\n0.5\n"),
        ({"v": np.array([1, 2])}, CSV, b"1\n2\n"),
        ({"v": np.array([0.1]), "n": np.array([7])}, CSV, b"0.1,7\n"),
        (TWO, CSV, '0.1,"a""b"\n,"c,d"\n1e+300,\xe9\n'.encode()),
        ({"v": np.array([True, False])}, CSV, b"true\nfalse\n"),
        ({"v": np.arange(6.0).reshape(3, 2)[:, 1]}, CSV, b"1.0\n3.0\n5.0\n"),
        ({"v": np.array([0.1, np.nan, np.inf])}, JSON, b'{"predictions":[0.1,null,null]}'),
        ({"v": np.array([0.1], np.float32)}, JSON, b'{"predictions":[0.1]}'),
        ({"a": np.array([0.5]), "b": np.array(["x"])}, JSON, b'{"predictions":[{"a":0.5,"b":"x"}]}'),
        ({"v": np.array([0.5, 1])}, LINES, b'{"prediction":0.5}\n{"prediction":1.0}\n'),
        ({"a": np.array([0.5]), "b": np.array([1])}, LINES, b'{"a":0.5,"b":1}\n'),
        ({"a": np.array([]), "b": np.array([])}, CSV, b""),
        ({"a": np.array([])}, JSON, b'{"predictions":[]}'),
    ],
)
def test_one_record_is_written_for_each_record_in_order(columns, accept, body):
    assert encode_columns(columns, MediaType(accept)) == (body, accept)


def test_npy_has_one_axis_for_one_column_and_two_for_several():
    def load(columns):
        return np.load(io.BytesIO(encode_columns(columns, MediaType(NPY))[0]), allow_pickle=False)

    assert load({"v": np.array([1.5, 2])}).tolist() == [1.5, 2.0]
    assert load({"a": np.array([1.5, 2]), "b": np.array([3, 4])}).tolist() == [[1.5, 3], [2, 4]]
    assert load({"v": np.array(["x", "yy"], dtype=object)}).tolist() == ["x", "yy"]


def test_a_type_that_cannot_be_written_is_406_and_a_wrong_shape_is_a_bug():
    with pytest.raises(RequestError) as error:
        encode_columns({"v": np.zeros(2)}, MediaType("image/png"))
    assert (error.value.status, error.value.details) == (406, {"supported": list(ENCODABLE)})
    for columns in ({}, {"v": np.zeros((2, 2))}, {"a": np.zeros(2), "b": np.zeros(3)}, {"v": np.float64(1)}):
        with pytest.raises(ValueError, match=r"one shape \(n,\)"):
            encode_columns(columns, MediaType(CSV))


@given(st.lists(st.floats(width=64)), st.sampled_from([np.float64, np.float32]))
def test_floats_are_written_so_that_they_read_back_as_they_were(numbers, dtype):
    with np.errstate(over="ignore"):
        column = np.array(numbers, dtype=dtype)
    lines = encode_columns({"v": column}, MediaType(CSV))[0].decode().splitlines()
    read = np.array([float(line or "nan") for line in lines], dtype=np.float64).astype(dtype)
    np.testing.assert_array_equal(read, column)
    finite = column[np.isfinite(column)]
    values = json.loads(encode_columns({"v": finite}, MediaType(JSON))[0])["predictions"]
    np.testing.assert_array_equal(np.array(values, dtype=dtype), finite)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), st.integers())
def test_texts_of_any_kind_are_read_back_by_the_csv_module(texts, number):
    columns = {"t": np.array(texts, dtype=object), "n": np.full(len(texts), number % 1000)}
    body, _ = encode_columns(columns, MediaType(CSV))
    rows = list(csv.reader(io.StringIO(body.decode(), newline="")))
    assert [row[0] for row in rows] == texts
