"""Sparse requests, held against the libraries that people write them with."""

from __future__ import annotations

import io

import numpy as np
import pytest
import scipy.sparse
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import decode_table
from opt_ml_ensemble import handler
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

COLUMNS = 6


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.where(rng.random((80, COLUMNS)) < 0.6, 0, rng.normal(size=(80, COLUMNS)).round(3))


@pytest.fixture(scope="module")
def served(tmp_path_factory, job_class, rows):
    """A model that was trained on LIBSVM, where what a row does not name is missing."""
    stream = io.BytesIO()
    dump_svmlight_file(rows, rows.sum(axis=1), stream)
    job = job_class(tmp_path_factory.mktemp("libsvm"))
    job.file("train", "rows.libsvm", stream.getvalue()).run({"models": "xgboost,linear"})
    return handler.model_fn(str(job.base / "model"))


def answer(served, body: bytes, content_type: str) -> bytes:
    return handler.output_fn(handler.predict_fn(handler.input_fn(body, content_type), served), "text/csv")[0]


def test_a_row_of_libsvm_is_answered_as_the_same_row_of_csv(served, rows):
    asked = rows[:20].copy()
    asked[0, 2:] = 0  # its last columns are named by no row of the request
    stream = io.BytesIO()
    dump_svmlight_file(asked[:, :3], np.zeros(20), stream)
    lines = [",".join("" if value == 0 else str(value) for value in row) for row in asked[:, :3]]
    csv = "".join(f"{line},,,\n" for line in lines).encode()
    assert answer(served, stream.getvalue(), "text/libsvm") == answer(served, csv, "text/csv")


def test_a_column_that_the_model_does_not_have_is_refused(served):
    with pytest.raises(RequestError, match="model expects 6"):
        answer(served, b"0 6:1\n", "text/libsvm")


def test_libsvm_is_read_as_scikit_learn_reads_it(rows):
    stream = io.BytesIO()
    dump_svmlight_file(rows, np.arange(80), stream, query_id=np.arange(80), comment="a comment")
    found = decode_table(stream.getvalue(), "text/libsvm").values
    expected, _ = load_svmlight_file(io.BytesIO(stream.getvalue()), zero_based=True)
    assert np.array_equal(np.nan_to_num(found), expected.toarray())


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_what_scipy_saves_is_the_matrix(form, rows):
    stream = io.BytesIO()
    scipy.sparse.save_npz(stream, scipy.sparse.csr_matrix(rows).asformat(form))
    assert np.array_equal(decode_table(stream.getvalue(), "application/x-npz").values, rows)


def test_other_formats_of_scipy_are_400(rows):
    stream = io.BytesIO()
    scipy.sparse.save_npz(stream, scipy.sparse.bsr_matrix(rows))
    with pytest.raises(RequestError, match="csr, csc or coo"):
        decode_table(stream.getvalue(), "application/x-npz")
