import shutil

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


def test_what_an_earlier_run_left_is_replaced(tmp_path):
    (tmp_path / ".part.partial").mkdir()
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
