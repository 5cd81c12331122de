"""Parquet requests, which opt_ml reads with the image's own library."""

from __future__ import annotations

import os
import signal

import fastparquet
import numpy as np
import pandas as pd
import pytest
from opt_ml.errors import RequestError
from opt_ml.serving.codecs import decode_table, parquet


def refusal(body: bytes, content_type: str, status: int = 400) -> RequestError:
    with pytest.raises(RequestError) as error:
        decode_table(body, content_type)
    assert error.value.status == status
    assert "\n" not in error.value.message
    return error.value


@pytest.mark.parametrize("content_type", ["application/x-parquet", "application/vnd.apache.parquet", ""])
def test_parquet_is_a_table_with_names(tmp_path, content_type):
    path = str(tmp_path / "table.parquet")
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None], "c": ["x", None]})
    fastparquet.write(path, frame)
    body = (tmp_path / "table.parquet").read_bytes()
    table = decode_table(body, content_type)
    assert table.names == ("a", "b", "c")
    assert table.values.tolist() == [[1.0, 0.5, "x"], [2.0, None, None]]
    fastparquet.write(path, frame[["a", "b"]])
    numbers = decode_table((tmp_path / "table.parquet").read_bytes(), content_type).values
    assert numbers.dtype == np.float64
    assert np.isnan(numbers[1, 1])
    assert "Parquet" in refusal(body[:-9], "application/x-parquet").message
    fastparquet.write(path, pd.DataFrame({"t": pd.to_datetime(["2026-01-01"])}))
    assert refusal((tmp_path / "table.parquet").read_bytes(), content_type).details == {"column": "t"}


def test_a_few_kilobytes_that_stand_for_a_huge_table_are_413(tmp_path):
    path = tmp_path / "table.parquet"
    fastparquet.write(
        str(path),
        pd.DataFrame({f"c{n}": np.zeros(200_000, dtype=np.int8) for n in range(200)}),
        compression="GZIP",
    )
    assert path.stat().st_size < 1_000_000
    assert refusal(path.read_bytes(), "application/x-parquet", 413).details == {
        "rows": 200_000,
        "columns": 200,
    }


def test_a_few_kilobytes_that_stand_for_many_texts_are_413(tmp_path):
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame({f"c{n}": ["x"] * 200_000 for n in range(30)})
    fastparquet.write(str(path), frame, compression="GZIP")
    assert path.stat().st_size < 1_000_000
    assert "fields" in refusal(path.read_bytes(), "application/x-parquet", 413).message


@pytest.fixture
def body(tmp_path) -> bytes:
    fastparquet.write(str(tmp_path / "table.parquet"), pd.DataFrame({"a": [1.0, 2.0]}))
    return (tmp_path / "table.parquet").read_bytes()


def reader() -> int:
    return parquet._READER._process.pid


@pytest.mark.parametrize(("number", "status"), [(signal.SIGSEGV, 400), (signal.SIGKILL, 413)])
def test_a_file_that_ends_its_reader_is_refused_and_the_next_one_is_read(body, number, status):
    decode_table(body, "application/x-parquet")
    os.kill(reader(), number)
    assert "Parquet" in refusal(body, "application/x-parquet", status).message
    assert decode_table(body, "application/x-parquet").values.tolist() == [[1], [2]]


def test_a_file_that_sends_its_reader_in_circles_is_refused_and_the_reader_replaced(body, monkeypatch):
    decode_table(body, "application/x-parquet")
    first = reader()
    os.kill(first, signal.SIGSTOP)
    monkeypatch.setattr(parquet, "_PATIENCE", 0.1)
    assert "did not come to an end" in refusal(body, "application/x-parquet").message
    monkeypatch.undo()
    assert decode_table(body, "application/x-parquet").values.tolist() == [[1], [2]]
    assert reader() != first


def test_what_the_library_prints_of_a_damaged_file_stays_out_of_the_log(body, capfd):
    for at in range(4, len(body), 7):
        try:
            decode_table(body[:at] + b"\x7f" + body[at + 1 :], "application/x-parquet")
        except RequestError as error:
            assert error.status in (400, 413)
    assert capfd.readouterr() == ("", "")
