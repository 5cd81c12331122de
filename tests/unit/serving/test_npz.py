"""npz bodies to tables: arrays by name and sparse matrices, within bounds and without pickle."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import decode_table
from opt_ml.serving.codecs.npz import read_npz

NPZ = "application/x-npz"


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def refusal(body: bytes, status: int = 400) -> RequestError:
    with pytest.raises(RequestError) as error:
        decode_table(body, NPZ)
    assert error.value.status == status
    assert "\n" not in error.value.message
    return error.value


@pytest.mark.contract("HANDLER-08")
@pytest.mark.parametrize("content_type", [NPZ, "application/octet-stream", ""])
def test_one_array_is_the_table_whatever_its_name(content_type):
    table = decode_table(npz(anything=np.array([[1, 2], [3, 4]])), content_type)
    assert (table.values.tolist(), table.names) == ([[1, 2], [3, 4]], None)


def test_several_arrays_of_one_length_are_columns_by_name():
    table = decode_table(npz(age=np.array([1, 2]), colour=np.array(["red", "blue"])), NPZ)
    assert (table.values.tolist(), table.names) == ([[1, "red"], [2, "blue"]], ("age", "colour"))


def test_an_input_fn_can_have_every_array_by_its_name():
    arrays = {
        "pixels": np.arange(24.0).reshape(1, 2, 3, 4),
        "mask": np.array([[True, False]]),
        "none": np.empty((0, 3)),
    }
    found = read_npz(npz(**arrays))
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


# What scipy.sparse.save_npz writes for [[0, 2.5, 0], [1, 0, 0], [0, 0, 0]].
CSR = {
    "indices": np.array([1, 0], dtype=np.int32),
    "indptr": np.array([0, 1, 2, 2], dtype=np.int32),
    "format": np.array(b"csr"),
    "shape": np.array([3, 3]),
    "data": np.array([2.5, 1]),
}
CSC = {**CSR, "indices": np.array([1, 0]), "indptr": np.array([0, 1, 2, 2]), "format": np.array(b"csc")}
CSC["data"] = np.array([1, 2.5])
COO = {"row": np.array([0, 1]), "col": np.array([1, 0]), "format": np.array(b"coo")}
COO |= {"shape": CSR["shape"], "data": CSR["data"]}


@pytest.mark.contract("HANDLER-08")
@pytest.mark.parametrize("arrays", [CSR, CSC, COO], ids=["csr", "csc", "coo"])
def test_a_sparse_matrix_has_0_where_it_has_no_value(arrays):
    assert decode_table(npz(**arrays), NPZ).values.tolist() == [[0, 2.5, 0], [1, 0, 0], [0, 0, 0]]


def test_a_sparse_matrix_without_values_is_all_zeros():
    empty = {**CSR, "indices": np.empty(0, int), "indptr": np.zeros(4, int), "data": np.empty(0)}
    assert not decode_table(npz(**empty), NPZ).values.any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": np.array(b"bsr")}, "'bsr'"),
        ({"format": np.array(7)}, "format"),
        ({"format": np.empty(0)}, "format"),
        ({"shape": np.array([3])}, "shape [3]"),
        ({"shape": np.array([3, 0])}, "shape [3, 0]"),
        ({"shape": np.array(["3", "3"])}, "<U1"),
        ({"indices": np.array([1, 3])}, "out of bounds"),
        ({"indices": np.array([1, -1])}, "negative"),
        ({"indices": np.array([1.0, 0.0])}, "float64"),
        ({"indices": np.array([1])}, "2 values at 2 rows and 1 columns"),
        ({"indptr": np.array([0, 1, 2])}, "3 rows"),
        ({"indptr": np.array([0, 3, 1, 2])}, "indptr"),
        ({"indptr": np.array([0, 1, 2, 9])}, "indptr"),
        ({"data": np.array(["a", "b"])}, "<U1"),
        ({"data": np.array([1j, 2j])}, "complex"),
    ],
)
def test_a_sparse_matrix_that_does_not_hold_together_is_refused(changes, words):
    assert words in refusal(npz(**{**CSR, **changes})).message


def test_a_sparse_matrix_of_a_huge_shape_is_413():
    assert "1000000000" in refusal(npz(**{**CSR, "shape": np.array([3, 10**9])}), 413).message


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.ones((2, 2)), "b": np.ones((2, 2))}, "'a' (2, 2), 'b' (2, 2)"),
        ({"a": np.ones(2), "b": np.ones(3)}, "'a' (2,), 'b' (3,)"),
        ({"a": np.ones((2, 2, 2))}, "array 'a'"),
        ({"a": np.ones(2, dtype=complex)}, "complex"),
        ({"a": np.empty((0, 2))}, "holds no record"),
        ({}, "no array"),
    ],
)
def test_arrays_that_are_no_table_are_refused_by_name(arrays, words):
    assert words in refusal(npz(**arrays)).message


def test_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    assert "pickle" in refusal(npz(a=np.array([Trap()], dtype=object))).message
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "body", [b"", b"PK\x03\x04", b"1,2", npz(a=np.ones(3))[:-30], b"PK\x05\x06" + bytes(18)]
)
def test_a_body_that_is_no_npz_file_is_400(body):
    assert "npz" in refusal(body).message


def archive(name: str, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        file.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_numpy_does_not_write_is_refused(compression):
    assert "as NumPy writes it" in refusal(archive("a.npy", bytes(100), compression)).message


@pytest.mark.parametrize(
    "arrays",
    [
        {"bytes": np.zeros((1 << 20, 40), dtype=np.int8)},  # each would become a float64
        {"texts": np.zeros((1 << 20, 5), dtype="U1")},  # and each of these a Python object
        {"rows": np.zeros(((1 << 20) + 1, 1), dtype=bool)},  # each a record to predict
        {"rows": np.zeros((1 << 20) + 1, dtype=[("a", "i1"), ("b", "i1")])},
        {name: np.zeros(1 << 20, dtype=np.int8) for name in "abcde"},
        {**CSR, "shape": np.array([(1 << 20) + 1, 3])},
        {**CSR, "format": np.array(b"coo"), "shape": np.array([1 << 23, 3])},
        {**CSR, "data": np.zeros((1 << 25) + 1, dtype=np.int8)},
    ],
)
def test_a_few_packed_bytes_that_stand_for_far_more_are_413(arrays):
    body = npz(**arrays)
    assert len(body) < 100_000
    assert "fields" in refusal(body, 413).message


def test_what_is_sent_in_full_is_taken_at_any_size():
    values = np.random.default_rng(0).integers(0, 100, ((1 << 20) + 5, 1), dtype=np.int8)
    stream = io.BytesIO()
    np.savez(stream, values)
    assert len(decode_table(stream.getvalue(), NPZ)) == len(values)


def test_a_zip_bomb_is_413_before_it_is_inflated():
    body = archive("a.npy", bytes(300_000_000))
    assert len(body) < 1_000_000
    assert "bytes" in refusal(body, 413).message


def test_a_member_that_lies_about_its_size_is_read_no_further_than_it_says():
    body = archive("a.npy", bytes(50_000_000))
    lying = body.replace(struct.pack("<I", 50_000_000), struct.pack("<I", 100))
    assert lying != body
    refusal(lying)


def test_thousands_of_tiny_arrays_are_413():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for number in range(10_001):
            file.writestr(str(number), b"")
    assert "10000" in refusal(stream.getvalue(), 413).message
