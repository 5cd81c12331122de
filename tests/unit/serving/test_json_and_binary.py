"""JSON, JSON Lines, npy and Parquet bodies to tables, and the choice among them."""

from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import DECODABLE, decode_table

JSON, LINES, NPY = "application/json", "application/jsonlines", "application/x-npy"


def refusal(body: bytes, content_type: str, status: int = 400) -> RequestError:
    with pytest.raises(RequestError) as error:
        decode_table(body, content_type)
    assert error.value.status == status
    assert "\n" not in error.value.message
    return error.value


@pytest.mark.parametrize(
    ("body", "values", "names"),
    [
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]], None),
        ("[1, 2]", [[1, 2]], None),
        ('[{"a": 1, "b": 2}, {"b": 4, "a": 3}]', [[1, 2], [3, 4]], ("a", "b")),
        ('{"a": 1, "b": 2}', [[1, 2]], ("a", "b")),
        ('{"a": [1, 3], "b": [2, 4]}', [[1, 2], [3, 4]], ("a", "b")),
        ('{"columns": ["a", "b"], "data": [[1, 2]]}', [[1, 2]], ("a", "b")),
        ('{"columns": ["a"], "index": [0], "data": [[1]]}', [[1]], ("a",)),
        ('{"instances": [[1, 2]]}', [[1, 2]], None),
        ('{"inputs": {"a": [1, 3]}}', [[1], [3]], ("a",)),
        ('{"data": [{"a": 1}]}', [[1]], ("a",)),
        ('{"instances": [{"features": [1, 2]}, {"features": [3, 4]}]}', [[1, 2], [3, 4]], None),
        ('{"features": [1, 2]}', [[1, 2]], None),
        ("[[true, false]]", [[1, 0]], None),
        ("\ufeff[[1]]", [[1]], None),
        ("[[123456789012345678901234567890]]", [[1.2345678901234568e29]], None),
    ],
)
def test_each_documented_shape_of_json_is_a_table(body, values, names):
    table = decode_table(body.encode(), "application/json; charset=utf-8")
    assert table.values.dtype == np.float64
    assert (table.values.tolist(), table.names) == (values, names)


@pytest.mark.parametrize(
    "body", ["[[1, null]]", "[[1, NaN]]", '[{"a": 1, "b": null}]', '{"a": [1], "b": [null]}']
)
def test_null_and_nan_are_missing(body):
    values = decode_table(body.encode(), JSON).values
    assert values[0, 0] == 1
    assert np.isnan(values[0, 1])


def test_a_name_that_a_record_leaves_out_is_missing_and_texts_stay_texts():
    table = decode_table(b'[{"a": 1}, {"b": "x", "a": "2"}]', JSON)
    assert table.names == ("a", "b")
    assert table.values.tolist() == [[1.0, None], ["2", "x"]]


@pytest.mark.parametrize(
    ("body", "words", "details"),
    [
        (b"", "empty", {}),
        (b"[1", "not valid JSON", {}),
        (b"5", "one int", {}),
        (b"[]", "no record", {}),
        (b"{}", "no field", {"row": 1}),
        (b"[[]]", "no field", {"row": 1}),
        (b"[[1, 2], [3]]", "Row 2 has 1 fields", {"row": 2, "column": 2}),
        (b"[[1, [2]]]", "column 2 holds a list", {"row": 1, "column": 2}),
        (b'[{"a": 1}, {"a": {"x": 1}}]', "column 1 ('a') holds a JSON object", {"row": 2, "column": 1}),
        (b'[[1], {"a": 1}]', "Row 2 is an object", {"row": 2}),
        (b'[{"a": 1}, 3]', "Row 2 is a single value", {"row": 2}),
        (b'{"a": [1], "b": [1, 2]}', "Column 'b' has 2 values", {"column": "b"}),
        (b'{"columns": ["a", "a"], "data": [[1, 2]]}', "repeats a name", {}),
        (b'{"columns": ["a", "b"], "data": [[1]]}', "Row 1 has 1 fields, but 2", {"row": 1, "column": 2}),
        (b'{"columns": [1], "data": [[1]]}', "list of names", {}),
        (b'{"columns": ["a"], "data": 3}', "list of rows", {}),
        (b"[[1], [NaN", "not valid JSON", {}),
    ],
)
def test_another_shape_is_refused_with_its_row_and_column(body, words, details):
    error = refusal(body, JSON)
    assert words in error.message
    assert error.details == details


@pytest.mark.parametrize("content_type", [LINES, "application/jsonl", "application/x-jsonlines"])
def test_json_lines_take_rows_records_features_and_bare_values(content_type):
    assert decode_table(b"[1, 2]\n\n[3, 4]\n", content_type).values.tolist() == [[1, 2], [3, 4]]
    assert decode_table(b'{"a": 1}\r\n{"a": 2}', content_type).names == ("a",)
    assert decode_table(b'{"features": [1, 2]}\n', content_type).values.tolist() == [[1, 2]]
    assert decode_table(b"1\n2\n", content_type).values.tolist() == [[1], [2]]


@pytest.mark.parametrize("content_type", [JSON, LINES])
def test_records_that_each_have_a_name_of_their_own_are_413_without_the_memory(content_type):
    for count in (2100, 20_000):
        lines = [b'{"%d": 1}' % number for number in range(count)]
        body = b"\n".join(lines) if content_type == LINES else b"[%b]" % b",".join(lines)
        assert refusal(body, content_type, 413).details == {"rows": count, "columns": count}


def test_a_bad_json_line_is_named():
    error = refusal(b"[1]\n\n[2\n", LINES)
    assert error.message.startswith("Line 3 is not valid JSON")
    assert error.details == {"line": 3}
    assert "empty" in refusal(b"\n", LINES).message


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2", "?", "<u8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_number_type_and_order_becomes_float64(dtype, order):
    table = decode_table(npy(np.array([[0, 1], [1, 0], [1, 1]], dtype=dtype, order=order)), NPY)
    assert table.values.dtype == np.float64
    assert table.values.flags.writeable
    assert table.values.tolist() == [[0, 1], [1, 0], [1, 1]]


def test_npy_of_one_dimension_is_one_record_and_a_structured_one_has_names():
    assert decode_table(npy(np.arange(3.0)), NPY).values.tolist() == [[0, 1, 2]]
    structured = np.array([(1, "x"), (2, "y")], dtype=[("a", "f4"), ("b", "U3")])
    table = decode_table(npy(structured), NPY)
    assert (table.names, table.values.tolist()) == (("a", "b"), [[1.0, "x"], [2.0, "y"]])
    assert decode_table(npy(np.array([["x", "y"]])), NPY).values.tolist() == [["x", "y"]]


def test_npy_with_objects_is_refused_and_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    stream = io.BytesIO()
    np.save(stream, np.array([Trap()], dtype=object), allow_pickle=True)
    assert "never pickles" in refusal(stream.getvalue(), NPY).message
    refusal(pickle.dumps(Trap()), NPY)
    assert not (tmp_path / "sprung").exists()


def test_npy_that_lies_about_its_size_is_refused_without_the_memory():
    body = npy(np.zeros((2, 2)))
    huge = body.replace(b"(2, 2), }          ", b"(999999999999, 2), }")
    assert huge != body
    assert "needs 15999999999984 bytes" in refusal(huge, NPY).message
    assert "31 came" in refusal(body[:-1], NPY).message
    assert "impossible shape" in refusal(body.replace(b"(2, 2), }  ", b"(-2, -2), }"), NPY).message


def npy_header(header: str, data: bytes = b"") -> bytes:
    text = f"{header}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize("code_point", [0x11_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_npy_with_a_code_point_that_does_not_exist_is_400(code_point):
    body = npy(np.array([["a", "b"]])).replace(b"a\0\0\0", code_point.to_bytes(4, "little"))
    assert "not Unicode" in refusal(body, NPY).message


@pytest.mark.parametrize(
    ("descr", "shape", "data", "words"),
    [
        ("'<f8'", "(4000000000, 0)", b"", "holds no record"),
        ("'<f8'", "(0, 4000000000)", b"", "holds no record"),
        ("'<U0'", "(4000000000, 2)", b"", "no number or text"),
        ("'|V0'", "(4000000000,)", b"", "no number or text"),
        ("('<f8', (2000000000, 0))", "(9,)", b"", "no number or text"),
        ("[('a', '<f4'), ('b', '<f4', (500000000, 0))]", "(1,)", b"1234", "no number or text"),
        ("[('a', '|i1'), ('b', '<U0')]", "(9,)", b"123456789", "no number or text"),
        ("[('a', '|i1'), ('b', [('c', '|i1')])]", "(1,)", b"12", "no number or text"),
        ("('|i1', (2,))", "(1,)", b"12", "no number or text"),
        ("'<f8'", f"(0x1{'0' * 5000}, 0)", b"", "impossible shape"),
        ("'<f8'", f"({'1, ' * 65})", b"12345678", "impossible shape"),
        ("'<f8'", "(-2, -2)", b"1" * 32, "impossible shape"),
    ],
)
def test_npy_of_no_bytes_a_field_is_refused_before_a_python_object_is_made(descr, shape, data, words):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
    assert words in refusal(npy_header(header, data), NPY).message


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': (",
        "{[]: 1}",
        "{'descr': ',,,', 'fortran_order': False, 'shape': (1,)}",
        "-" * 9000 + "1",
        "",
    ],
    ids=["cut", "unhashable", "no dtype", "deep", "empty"],
)
def test_an_npy_header_that_numpy_trips_over_is_400(header):
    assert "not in the npy format" in refusal(npy_header(header), NPY).message


@pytest.mark.parametrize("depth", [500, 1000])
@pytest.mark.parametrize("name", ["instances", "data"])
def test_json_wrapped_many_times_is_unwrapped(depth, name):
    body = f'{{"{name}":' * depth + "[[1, 2]]" + "}" * depth
    assert decode_table(body.encode(), JSON).values.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "body",
    [
        '{"instances":' * 100_000,
        '{"instances":' * 5000 + "[NaN]" + "}" * 5000,
        "[" * 1000 + "]" * 1000,
        "[" * 900 + "NaN" + "]" * 900,
        '{"a":' * 900 + "1" + "}" * 900,
        '{"a":[' * 400 + "NaN" + "]}" * 400,
    ],
    ids=["cut", "wrapped NaN", "lists", "lists of NaN", "objects", "both"],
)
def test_json_nested_too_deeply_is_400(body):
    refusal(body.encode(), JSON)
    refusal(body.encode(), LINES)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 2, 3)),
        np.array(3.0),
        np.zeros((1, 2), complex),
        np.zeros((0, 2)),
        np.zeros((2, 0)),
        np.array([b"x"]),
        np.zeros((2, 2), "M8[s]"),
    ],
)
def test_npy_that_is_no_table_of_numbers_or_text_is_refused(array):
    refusal(npy(array), NPY)


@pytest.mark.contract("HOST-57")
@pytest.mark.parametrize("content_type", ["", "application/octet-stream"])
def test_a_body_without_a_type_is_told_by_its_first_bytes(content_type):
    for body in (b"1,2", b" [[1, 2]]", b'{"a": 1, "b": 2}', npy(np.array([[1, 2]]))):
        assert decode_table(body, content_type).values.tolist() == [[1, 2]]


@pytest.mark.contract("HANDLER-10")
@pytest.mark.parametrize("content_type", ["image/png", "text", "text/csv; =", "*/*", "application/x-image"])
def test_an_unknown_content_type_is_415(content_type):
    assert refusal(b"1", content_type, 415).message.startswith("Content-Type")


def test_415_lists_what_is_supported():
    assert refusal(b"1", "image/png", 415).details == {"supported": list(DECODABLE)}


def test_parquet_without_a_reader_is_415_that_names_the_library(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fastparquet", None)
    assert "fastparquet" in refusal(b"PAR1", "application/x-parquet", 415).message


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
DEEP = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)


@given(DEEP)
def test_any_json_is_a_table_of_floats_texts_and_none_or_a_refusal(content):
    try:
        table = decode_table(json.dumps(content).encode(), JSON)
    except RequestError as error:
        assert error.status == 400
        return
    assert table.values.ndim == 2
    if table.values.dtype == object:
        assert {type(value) for value in table.values.flat} <= {float, str, type(None)}
    else:
        assert table.values.dtype == np.float64
