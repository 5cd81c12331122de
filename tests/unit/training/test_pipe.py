"""Pipe channels: FIFOs that come late, epochs, and readers that leave early."""

import itertools
import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from opt_ml.data import epochs, open_epoch, open_objects, write_record
from opt_ml.data import pipe as pipe_module
from opt_ml.environment import Channel
from opt_ml.errors import UserError


@pytest.fixture
def channel(tmp_path):
    return Channel("my.ch-1", tmp_path / "input" / "data" / "my.ch-1", input_mode="Pipe")


@contextmanager
def platform(channel, *contents, delay=0.0):
    """What SageMaker does: one FIFO an epoch, made when it likes, filled once."""
    channel.directory.parent.mkdir(parents=True, exist_ok=True)
    cut_short = []

    def feed():
        for epoch, content in enumerate(contents):
            time.sleep(delay)
            path = channel.directory.with_name(f"{channel.name}_{epoch}")
            os.mkfifo(path)
            try:
                with path.open("wb") as stream:
                    time.sleep(delay)
                    stream.write(content)
            except BrokenPipeError:
                cut_short.append(epoch)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    yield cut_short
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.contract("TRAIN-56", "TRAIN-57")
def test_each_epoch_is_read_to_its_end_though_its_fifo_comes_late(channel):
    with platform(channel, b"first", b"", b"third" * 100_000, delay=0.1):
        found = [stream.read() for stream in itertools.islice(epochs(channel, 20), 3)]
    assert found == [b"first", b"", b"third" * 100_000]


@pytest.mark.contract("TRAIN-58")
def test_an_epoch_left_early_is_closed_before_the_next_one(channel):
    with platform(channel, b"x" * 5_000_000, b"next") as cut_short:
        streams = epochs(channel, 20)
        first = next(streams)
        assert first.read(1) == b"x"
        second = next(streams)
        assert first.closed
        assert second.read() == b"next"
    assert cut_short == [0]


@pytest.mark.contract("TRAIN-57")
def test_a_fifo_that_never_comes_is_named(channel, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pipe_module, "SAID_AFTER", 0.0)
    with pytest.raises(UserError, match=r"my\.ch-1 is in Pipe mode, but .*my\.ch-1_3 does not exist after"):
        open_epoch(channel, 3, wait_limit=0.2)
    assert capsys.readouterr().out.count("Waiting for the channel my.ch-1") == 1


@pytest.mark.contract("TRAIN-57")
def test_a_fifo_that_nobody_fills_is_named_and_left_closed(channel):
    channel.directory.parent.mkdir(parents=True)
    os.mkfifo(channel.directory.with_name("my.ch-1_0"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(UserError, match=r"nothing has opened .*my\.ch-1_0 for writing"):
        open_epoch(channel, 0, wait_limit=0.2)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.contract("TRAIN-94")
def test_a_signal_ends_the_wait(channel, exists):
    class Stop(BaseException):
        pass

    def stop(*_):
        raise Stop

    channel.directory.parent.mkdir(parents=True)
    if exists:
        os.mkfifo(channel.directory.with_name("my.ch-1_0"))
    before = signal.signal(signal.SIGUSR1, stop)
    timer = threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(Stop):
            open_epoch(channel)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.contract("TRAIN-59")
def test_with_recordio_each_record_is_an_object(channel, tmp_path):
    wrapped = Channel(channel.name, channel.directory, input_mode="Pipe", record_wrapper="RecordIO")
    path = tmp_path / "records"
    with path.open("wb") as stream:
        for payload in (b"a,b\n", b"", b"1,2\n"):
            write_record(stream, payload)
    with platform(wrapped, path.read_bytes()):
        found = [(name.name, stream.read()) for name, stream in open_objects(wrapped, wait_limit=20)]
    assert found == [("record-1", b"a,b\n"), ("record-2", b""), ("record-3", b"1,2\n")]


@pytest.mark.contract("TRAIN-46", "TRAIN-51")
def test_files_are_objects_too_and_an_absent_channel_has_none(tmp_path):
    channel = Channel("train", tmp_path / "train")
    assert list(open_objects(channel)) == []
    (tmp_path / "train" / "part").mkdir(parents=True)
    (tmp_path / "train" / "part" / "0").write_bytes(b"x")
    assert [(path.name, stream.read()) for path, stream in open_objects(channel)] == [("0", b"x")]
