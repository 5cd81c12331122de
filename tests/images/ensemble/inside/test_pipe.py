"""Channels of every kind that give the ensemble the same table: pipes, RecordIO, LIBSVM, files in blocks."""

from __future__ import annotations

import gzip
import io
import os
import threading
from contextlib import contextmanager
from pathlib import Path

import fastparquet
import numpy as np
import pandas as pd
import pytest
from opt_ml.data import write_record
from opt_ml.environment import Channel
from opt_ml.errors import UserError
from opt_ml.tables import blocks
from opt_ml.tables.files import read_channel
from opt_ml_ensemble.dataset import build_schema
from opt_ml_ensemble.settings import Settings

CSV = b"a,b,y\n1,red,1.5\n2,blue,2.5\n"


@contextmanager
def fed(directory: Path, name: str, content: bytes):
    """A FIFO of epoch 0, and the thread that fills it."""
    path = directory / f"{name}_0"
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)

    def feed() -> None:
        with path.open("wb") as stream:
            stream.write(content)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    yield Channel(name, directory / name, "text/csv", "Pipe")
    thread.join(20)
    assert not thread.is_alive()


def wrapped(*payloads: bytes) -> bytes:
    stream = io.BytesIO()
    for payload in payloads:
        write_record(stream, payload)
    return stream.getvalue()


def record_io(channel: Channel) -> Channel:
    return Channel(channel.name, channel.directory, channel.content_type, "Pipe", record_wrapper="RecordIO")


def parquet(frame: pd.DataFrame, directory: Path) -> bytes:
    fastparquet.write(str(directory / "x.parquet"), frame)
    return (directory / "x.parquet").read_bytes()


@pytest.mark.contract("TRAIN-56", "TRAIN-57")
def test_a_pipe_of_several_objects_is_one_table_and_a_header_that_comes_again_is_none_of_its_rows(tmp_path):
    content = CSV + CSV.replace(b"\n", b"\r\n") + b"3,green,x\n"
    with fed(tmp_path, "train", content) as channel:
        rows = read_channel(channel, "auto", None)
    assert list(rows.frame["a"]) == [1, 2, 1, 2, 3]
    assert [rows.where(row) for row in (1, 2, 4)] == ["train_0 line 3", "train_0 line 5", "train_0 line 7"]


def test_a_pipe_of_gzip_objects_is_unpacked(tmp_path):
    with fed(tmp_path, "train", gzip.compress(CSV) + gzip.compress(CSV)) as channel:
        assert len(read_channel(channel, "auto", None).frame) == 4


@pytest.mark.contract("TRAIN-59")
def test_each_record_is_read_as_the_file_that_it_was(tmp_path):
    frame = pd.read_csv(io.BytesIO(CSV))
    payloads = (CSV, b"3,green,3.5\n", b"", parquet(frame, tmp_path), gzip.compress(CSV))
    with fed(tmp_path, "train", wrapped(*payloads)) as channel:
        rows = read_channel(record_io(channel), "auto", None)
    assert list(rows.frame["b"]) == ["red", "blue", "green", "red", "blue", "red", "blue"]
    assert [source.path.name for source in rows.sources] == ["record-1", "record-2", "record-4", "record-5"]
    assert rows.where(2) == "record-2 line 1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CSV + b"3,green\n", r"train_0 line 4 has 2 fields, but the first line has 3"),
        (b"PAR1....", r"train brings Parquet through a pipe .* RecordWrapperType to RecordIO"),
        (b"", r"The channel train has no data"),
        (b'{"label": 3}', r"train_0 is neither CSV nor Parquet\. An augmented manifest"),
        (b"\xff\xd8\xff\0\0", r"train_0 is neither CSV nor Parquet\. An augmented manifest"),
    ],
)
@pytest.mark.contract("TRAIN-60")
def test_what_a_pipe_should_not_bring_is_named(tmp_path, content, message):
    with fed(tmp_path, "train", content) as channel, pytest.raises(UserError, match=message):
        read_channel(channel, "auto", None)


@pytest.mark.contract("TRAIN-59")
def test_a_channel_that_is_not_recordio_though_it_says_so_is_named(tmp_path):
    with (
        fed(tmp_path, "train", CSV) as channel,
        pytest.raises(UserError, match=r"^train is not RecordIO: record 1 begins"),
    ):
        read_channel(record_io(channel), "auto", None)


@pytest.mark.contract("TRAIN-56")
def test_a_job_on_pipes_gives_the_model_of_the_same_job_on_files(job, new_job, mixed):
    frame = mixed[["size", "colour", "price"]]
    job.file("train", "rows.csv", frame[:150]).file("validation", "rows.csv", frame[150:])
    job.run({"models": "xgboost"})
    piped = new_job()
    piped.channels = {name: {"TrainingInputMode": "Pipe"} for name in ("train", "validation")}
    data = piped.base / "input" / "data"
    content = {n: (job.base / "input" / "data" / n / "rows.csv").read_bytes() for n in piped.channels}
    with fed(data, "train", content["train"]), fed(data, "validation", content["validation"]):
        piped.run({"models": "xgboost"})
    assert piped.metrics == job.metrics
    assert (piped.base / "model" / "xgboost.ubj").read_bytes() == (
        job.base / "model" / "xgboost.ubj"
    ).read_bytes()
    [files, fifos] = [one.model["channels"]["train"][0]["sha256"] for one in (job, piped)]
    assert files == fifos


@pytest.mark.contract("TRAIN-54", "TRAIN-55")
@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet", "rows.libsvm"])
def test_a_file_is_opened_once_and_read_from_its_start_to_its_end(tmp_path, name, monkeypatch):
    content = {
        "rows.csv": b'a,y\n"x\ny",1\n,\n' + b"1,2\n" * 50_000,
        "rows.csv.gz": gzip.compress(CSV),
        "rows.parquet": parquet(pd.read_csv(io.BytesIO(CSV)), tmp_path),
        "rows.libsvm": b"1 1:2\n0 1:3 2:1\n",
    }[name]
    monkeypatch.setattr(blocks, "BLOCK", 10_000)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / name).write_bytes(content)
    opened = []

    class Once(io.FileIO):
        def seek(self, *arguments):
            raise AssertionError("a second look at the file")

    def watched_open(path, mode="r", **options):
        opened.append((path.name, mode))
        return io.BufferedReader(Once(path, "r"))

    channel = Channel("train", tmp_path / "train", input_mode="FastFile")
    monkeypatch.setattr(Path, "open", watched_open)
    rows = read_channel(channel, "auto", None)
    for row in range(min(3, len(rows.frame))):
        rows.where(row)
    assert opened == [(name, "rb")]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_file_in_blocks_is_the_table_that_it_is_in_one_piece(tmp_path, size, end, monkeypatch):
    text = 'k,"a\nb",y\n\n01,"x\n""y""",1\n2,,\n\n"tr, ue",\u00e9,3\ntrue,5",4\n7,z,5\n,"q",6'.replace(
        "\n", end
    )
    (tmp_path / "f.csv").write_bytes(text.encode())
    channel = Channel("train", tmp_path)
    whole = read_channel(channel, "auto", None)
    monkeypatch.setattr(blocks, "BLOCK", size)
    rows = read_channel(channel, "auto", None)
    schemas = [build_schema(one, Settings.read({"label": "y"})) for one in (whole, rows)]
    assert schemas[0] == schemas[1]
    assert list(rows.frame.columns) == list(whole.frame.columns)
    assert [rows.where(row) for row in range(6)] == [whole.where(row) for row in range(6)]
    assert rows.sources[0].sha256 == whole.sources[0].sha256


def test_an_open_quote_in_a_large_file_is_a_ragged_or_unfinished_row_and_no_endless_search(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(blocks, "BLOCK", 1000)
    (tmp_path / "f.csv").write_bytes(b"a,y\n1,2\n" + b'"3,4\n' + b"5,6\n" * 100_000)
    with pytest.raises(UserError, match=r"f\.csv"):
        read_channel(Channel("train", tmp_path), "auto", None)


@pytest.mark.parametrize("content_type", ["text/libsvm", "text/x-libsvm; charset=utf-8"])
def test_libsvm_is_a_table_whose_label_stands_first(tmp_path, content_type):
    (tmp_path / "part-0").write_bytes(b"# rows\n1 1:0.5 3:2 # first\n\n0 3:1e-1\n")
    rows = read_channel(Channel("train", tmp_path, content_type), "auto", None)
    assert rows.label_first
    assert list(rows.frame.columns) == ["label", "column_0", "column_1", "column_2", "column_3"]
    np.testing.assert_array_equal(
        rows.frame.to_numpy(), [[1, np.nan, 0.5, np.nan, 2], [0, np.nan, np.nan, np.nan, 0.1]]
    )
    assert rows.where(1) == "part-0 line 4"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 1:2\n1,2,3\n", r"f\.libsvm line 2 is not LIBSVM: '1,2,3'"),
        (b"1 1:2\n\n1 1:x\n", r"f\.libsvm line 3 is not LIBSVM"),
        (b"1 1000000000:2\n", r"f\.libsvm has an index of 1000000000, .* at most 10000 columns"),
    ],
)
def test_what_is_not_libsvm_is_named_by_file_and_line(tmp_path, content, message):
    (tmp_path / "f.libsvm").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_channel(Channel("train", tmp_path), "auto", None)


@pytest.mark.contract("TRAIN-53")
def test_a_manifest_beside_the_channel_is_no_channel(job, mixed):
    job.file("train", "rows.csv", mixed[["size", "price"]])
    (job.base / "input" / "data" / "train-manifest").write_text('[{"prefix": "s3://bucket/"}]')
    assert list(job.environment().channels) == ["train"]


@pytest.mark.contract("TRAIN-37")
def test_twenty_channels_of_odd_names_are_passed_over_and_the_train_channel_is_used(job, mixed, capsys):
    job.file("train", "rows.csv", mixed[["size", "price"]])
    for number in range(19):
        job.file(f"x.y-{number}_".ljust(64, "z"), "rows.csv", "not,even\ncsv")
    job.run({"models": "linear"})
    assert capsys.readouterr().out.count("is not used: channels are") == 19
