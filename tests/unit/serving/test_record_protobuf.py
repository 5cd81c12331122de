"""recordio-protobuf in both directions; tests/clients holds it against the SageMaker Python SDK."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.data import write_record
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import choose_accept, decode_table, encode_columns
from opt_ml.serving.codecs.protobuf import field, pack_varints, read_fields, unpack_varints

RECORDS = "application/x-recordio-protobuf"
FLOAT32, FLOAT64, INT32, BYTES = 2, 3, 7, 9

# Written by sagemaker.amazon.common of SDK 2.257: [[1, -2.5]] as float32 with label 7; the sparse float64
# matrix [[0, 3.5, 0], [0, 0, 0]]; [[300, -1]] as int32.
DENSE = (
    "0a23d7ce2c0000000a160a0676616c756573120c120a0a080000803f000020c012120a0676616c756573120812060a040000e040"
)
SPARSE = (
    "0a23d7ce1e0000000a1c0a0676616c75657312121a100a080000000000000c401201011a01030000"
    "0a23d7ce110000000a0f0a0676616c75657312051a031a0103000000"
)
WHOLE = "0a23d7ce1c0000000a1a0a0676616c75657312103a0e0a0cac02ffffffffffffffffff01"


def body_of(*records: bytes) -> bytes:
    stream = io.BytesIO()
    for record in records:
        write_record(stream, record)
    return stream.getvalue()


def record(value: bytes, name: bytes = b"values") -> bytes:
    return field(1, field(1, name) + field(2, value))


def floats(*values: float, keys: list[int] | None = None, shape: list[int] | None = None) -> bytes:
    tensor = field(1, np.array(values, dtype="<f4").tobytes())
    tensor += field(2, pack_varints(keys)) if keys is not None else b""
    tensor += field(3, pack_varints(shape)) if shape is not None else b""
    return field(FLOAT32, tensor)


def refusal(body: bytes, status: int = 400) -> RequestError:
    with pytest.raises(RequestError) as error:
        decode_table(body, RECORDS)
    assert error.value.status == status
    assert "\n" not in error.value.message
    return error.value


@pytest.mark.parametrize("content_type", [RECORDS, "application/octet-stream", ""])
@pytest.mark.parametrize(
    ("written", "values"),
    [(DENSE, [[1, -2.5]]), (SPARSE, [[0, 3.5, 0], [0, 0, 0]]), (WHOLE, [[300, -1]])],
    ids=["dense", "sparse", "int32"],
)
def test_what_the_sdk_writes_is_a_table(content_type, written, values):
    table = decode_table(bytes.fromhex(written), content_type)
    assert table.values.tolist() == values
    assert table.values.dtype == np.float64


def test_the_only_feature_counts_whatever_its_name_and_values_among_several():
    assert decode_table(body_of(record(floats(1), b"x")), RECORDS).values.tolist() == [[1]]
    both = record(floats(1), b"x") + record(floats(2))
    assert decode_table(body_of(both), RECORDS).values.tolist() == [[2]]


def test_numbers_that_are_not_packed_are_read_too():
    one = (
        b"\x0d"
        + np.float32(1.5).tobytes()
        + b"\x10\x02"
        + b"\x0d"
        + np.float32(2).tobytes()
        + b"\x10\xac\x02"
    )
    table = decode_table(body_of(record(field(FLOAT32, one))), RECORDS)
    assert table.values.shape == (1, 301)
    assert (table.values[0, 2], table.values[0, 300], table.values.sum()) == (1.5, 2, 3.5)


def test_dense_and_sparse_rows_may_stand_together():
    body = body_of(record(floats(1, 2)), record(floats(5, keys=[3], shape=[4])))
    assert decode_table(body, RECORDS).values.tolist() == [[1, 2, 0, 0], [0, 0, 0, 5]]


def test_a_record_in_several_parts_is_one_row():
    stream = io.BytesIO()
    write_record(stream, record(floats(1, 2)), longest_part=8)
    assert decode_table(stream.getvalue(), RECORDS).values.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"1,2,3\n4,5,6\n", "not RecordIO"),
        (bytes.fromhex(DENSE)[:-3], "ends in the middle of record 1"),
        (body_of(record(floats(1)), b"\xff\xff"), "Row 2"),
        (body_of(b""), "no feature 'values' (found: none)"),
        (body_of(record(floats(1), b"a") + record(floats(1), b"b")), "found: 'a', 'b'"),
        (body_of(record(field(BYTES, field(1, b"jpeg")))), "holds bytes"),
        (body_of(record(b"")), "no tensor"),
        (body_of(record(floats())), "empty"),
        (body_of(record(field(FLOAT32, field(1, b"123")))), "multiple of"),
        (body_of(record(field(INT32, field(1, b"\x80")))), "a number is cut"),
        (body_of(record(field(INT32, field(1, b"\x80" * 10 + b"\x01")))), "more than 10 bytes"),
        (body_of(record(field(FLOAT32, b"\x09" + bytes(8)))), "wire type 1"),
        (body_of(record(floats(1, 2, keys=[1]))), "2 values for 1 keys"),
        (body_of(record(floats(1, keys=[3], shape=[3]))), "outside of its shape (3,)"),
        (body_of(record(floats(1, keys=[-1]))), "outside of its shape"),
        (body_of(record(floats(1, 2)), record(floats(1))), "Row 2 has 1 fields, but 2"),
        (body_of(b"\x0b"), "wire type 3"),
        (body_of(b"\x0a\x7f"), "longer than its message"),
        (body_of(b"\x80" * 11), "does not end"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(body, words):
    assert words in refusal(body).message


@pytest.mark.parametrize("width", [10**9, 2**62])
def test_a_sparse_row_of_a_huge_shape_is_413(width):
    assert "columns" in refusal(body_of(record(floats(1, keys=[0], shape=[width]))), 413).message
    assert "columns" in refusal(body_of(record(floats(1, keys=[width]))), 413).message


def labels(record: bytes) -> dict[str, bytes]:
    found = {}
    for number, _, entry in read_fields(record):
        assert number == 2
        (_, _, name), (_, _, value) = read_fields(entry)
        found[name.decode()] = value
    return found


def test_an_answer_has_one_record_a_row_and_one_label_a_column():
    columns = {
        "score": np.array([0.5, 1.5], dtype=np.float32),
        "label": np.array(["no", "yes"], dtype=object),
        "class": np.array([0, -1]),
        "exact": np.array([0.1, np.nan]),
    }
    body, content_type = encode_columns(columns, choose_accept(RECORDS, [RECORDS], RECORDS))
    assert content_type == RECORDS
    from opt_ml.data import read_records

    first, second = (labels(found) for found in read_records(io.BytesIO(body)))
    assert list(first) == list(columns)
    assert first["score"] == field(FLOAT32, field(1, np.float32(0.5).tobytes()))
    assert first["exact"] == field(FLOAT64, field(1, np.float64(0.1).tobytes()))
    assert second["label"] == field(BYTES, field(1, b"yes"))
    assert second["class"] == field(INT32, field(1, b"\xff" * 9 + b"\x01"))


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_integers_come_back_as_they_were_packed(numbers):
    assert unpack_varints(pack_varints(numbers)).tolist() == numbers


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_a_table_or_a_refusal(content, is_framed):
    try:
        decode_table(body_of(record(content)) if is_framed else content, RECORDS)
    except RequestError as error:
        assert error.status == 400
