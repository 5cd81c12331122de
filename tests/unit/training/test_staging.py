import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from opt_ml.training.staging import staged_model


def content(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_the_model_is_there_when_the_block_ends(tmp_path):
    with staged_model(tmp_path / "model") as staging:
        (staging / "part").mkdir()
        (staging / "part" / "a.bin").write_text("a")
        (staging / "model.json").write_text("{}")
        assert not (tmp_path / "model").exists()
    assert content(tmp_path / "model") == ["model.json", "part", "part/a.bin"]


def test_an_error_in_the_block_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), staged_model(tmp_path / "model") as staging:
        (staging / "model.json").write_text("{}")
        raise RuntimeError
    assert not (tmp_path / "model").exists()


def test_a_disk_that_fills_up_half_way_leaves_nothing(tmp_path, monkeypatch):
    copy = shutil.copy2

    def full_disk(source, target):
        if source.name == "b.bin":
            raise OSError("No space left on device")
        return copy(source, target)

    monkeypatch.setattr(shutil, "copy2", full_disk)
    with pytest.raises(OSError, match="No space left"), staged_model(tmp_path) as staging:
        (staging / "a.bin").write_text("a")
        (staging / "b.bin").write_text("b")
    assert content(tmp_path) == []


class Stopped(BaseException):
    pass


@pytest.fixture
def stoppable():
    """SIGTERM and SIGINT raise Stopped, as in `train`."""

    def stop(signum, frame):
        raise Stopped

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in numbers}
    yield stop
    assert {signal.getsignal(number) for number in numbers} == {stop}
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.contract("TRAIN-94")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("by", ["this thread", "another thread"])
def test_a_signal_between_the_renames_waits_until_the_model_is_complete(
    tmp_path, monkeypatch, stoppable, number, by
):
    rename = Path.rename

    def interrupted(path, target):
        if by == "this thread":
            os.kill(os.getpid(), number)
        else:  # which need not block what the main thread blocks
            other = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), number))
            other.start()
            other.join()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(Stopped), staged_model(tmp_path) as staging:
        for name in ("a.bin", "b.bin", "model.json"):
            (staging / name).write_text(name)
    assert content(tmp_path) == ["a.bin", "b.bin", "model.json"]


@pytest.mark.contract("TRAIN-94")
def test_a_signal_before_the_renames_leaves_nothing(tmp_path, monkeypatch, stoppable):
    copy = shutil.copy2

    def interrupted(source, target):
        copy(source, target)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(shutil, "copy2", interrupted)
    with pytest.raises(Stopped), staged_model(tmp_path) as staging:
        (staging / "a.bin").write_text("a")
    assert content(tmp_path) == []


def test_a_model_can_be_staged_in_a_thread(tmp_path):
    def stage():
        with staged_model(tmp_path) as staging:
            (staging / "a.bin").touch()

    thread = threading.Thread(target=stage)
    thread.start()
    thread.join()
    assert content(tmp_path) == ["a.bin"]


@pytest.mark.contract("TRAIN-98", "TRAIN-100")
def test_what_an_earlier_run_left_is_replaced(tmp_path):
    (tmp_path / ".part.partial").mkdir()
    (tmp_path / ".gone.bin.partial").touch()  # of a model with other files
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "old.bin").touch()
    with staged_model(tmp_path) as staging:
        (staging / "part").mkdir()
        (staging / "part" / "new.bin").touch()
    assert content(tmp_path) == ["part", "part/new.bin"]


@pytest.mark.contract("HOST-28", "HOST-92")
def test_every_file_can_be_read_by_any_user(tmp_path):
    with staged_model(tmp_path) as staging:
        (staging / "part").mkdir(mode=0o700)
        (staging / "part" / "a.bin").touch(mode=0o600)
    assert (tmp_path / "part").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "part" / "a.bin").stat().st_mode & 0o777 == 0o644
