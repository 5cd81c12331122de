import errno
import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.environment import Environment
from opt_ml.training.checkpoints import Checkpoints, checkpoint_dir

IDENTITY = {"data": "abc", "hyperparameters": {"eta": 0.1, "depth": 3}}
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path, "tree", IDENTITY)


def files(directory):
    return sorted(path.name for path in Path(directory).rglob("*.checkpoint*"))


@pytest.mark.contract("TRAIN-92")
def test_what_was_saved_is_there_for_the_same_job(checkpoints, tmp_path):
    checkpoints.save("fold-0", {"rounds": 7}, {"model.bin": b"\0\1"})
    found = Checkpoints(tmp_path, "tree", dict(reversed(IDENTITY.items()))).load("fold-0")
    assert (found.facts, found.files) == ({"rounds": 7}, {"model.bin": b"\0\1"})
    assert checkpoints.load("fold-1") is None
    assert checkpoints.names() == ["fold-0"]


@pytest.mark.contract("TRAIN-92")
def test_a_job_without_a_checkpoint_directory_has_no_checkpoints_and_no_error(tmp_path):
    assert Checkpoints.open(Environment(tmp_path), "tree", IDENTITY) is None
    (tmp_path / "checkpoints").mkdir()
    assert Checkpoints.open(Environment(tmp_path), "tree", IDENTITY).load("fold-0") is None
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.contract("TRAIN-49", "TRAIN-90")
@pytest.mark.parametrize(
    ("document", "moved"),
    [
        ('{"S3Uri": "s3://b/c", "LocalPath": "MOVED"}', True),
        ('{"S3Uri": "s3://b/c"}', False),
        ('{"LocalPath": null}', False),
        ("[]", False),
        ("not JSON", False),
    ],
)
def test_the_job_says_where_its_checkpoints_go(tmp_path, document, moved):
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "checkpointconfig.json").write_text(document.replace("MOVED", str(tmp_path / "other")))
    expected = tmp_path / ("other" if moved else "checkpoints")
    assert checkpoint_dir(Environment(tmp_path)) == expected


def test_a_newer_one_takes_the_place_of_the_older(checkpoints, tmp_path):
    for number in range(4):
        checkpoints.save("fold-0", {"rounds": number})
    assert files(tmp_path) == ["fold-0.000004.checkpoint"]
    for number in range(3):
        checkpoints.save("fold-1", {"rounds": number}, keep=2)
    assert checkpoints.load("fold-1").facts == {"rounds": 2}
    assert len(files(tmp_path)) == 3
    checkpoints.remove("fold-1")
    assert files(tmp_path) == ["fold-0.000004.checkpoint"]


def test_names_that_begin_alike_are_kept_apart(checkpoints):
    checkpoints.save("fold-1", {"rounds": 1})
    checkpoints.save("fold-1-so-far", {"rounds": 2})
    checkpoints.save("fold-10", {"rounds": 3})
    checkpoints.remove("fold-1")
    assert checkpoints.names() == ["fold-1-so-far", "fold-10"]


@pytest.mark.contract("TRAIN-93")
def test_no_moment_shows_half_a_checkpoint(checkpoints, tmp_path, monkeypatch):
    """At each call that changes the disk, what bears the name of a checkpoint is whole and on the disk."""
    checkpoints.save("fold-0", {"rounds": 1}, {"model.bin": b"x" * 5000})
    seen = []

    def watched(original):
        def call(*arguments, **keywords):
            seen.append([zipfile.ZipFile(path).testzip() for path in tmp_path.rglob("*.checkpoint")])
            return original(*arguments, **keywords)

        return call

    order = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", watched(lambda fd: (order.append("fsync"), fsync(fd))))
    monkeypatch.setattr(Path, "replace", watched(lambda a, b: (order.append("rename"), replace(a, b))))
    monkeypatch.setattr(Path, "unlink", watched(Path.unlink))
    checkpoints.save("fold-0", {"rounds": 2}, {"model.bin": b"y" * 5000})
    assert order == ["fsync", "rename", "fsync"]
    assert [len(names) for names in seen] == [1, 1, 2, 2]
    assert not any(bad for names in seen for bad in names)


@pytest.mark.contract("TRAIN-93")
def test_what_a_killed_container_left_half_written_is_removed_at_the_start(checkpoints, tmp_path):
    checkpoints.save("fold-0", {"rounds": 1})
    (checkpoints.directory / "fold-0.000002.checkpoint.partial").write_bytes(b"PK")
    assert Checkpoints(tmp_path, "tree", IDENTITY).load("fold-0").facts == {"rounds": 1}
    assert files(tmp_path) == ["fold-0.000001.checkpoint"]


@given(data=st.data())
def test_a_damaged_one_is_told_and_the_older_one_is_used(data, tmp_path_factory):
    checkpoints = Checkpoints(tmp_path_factory.mktemp("root"), "tree", IDENTITY)
    for number in (1, 2):
        checkpoints.save("fold-0", {"rounds": number}, {"model.bin": bytes(range(200))}, keep=2)
    newest = checkpoints.directory / "fold-0.000002.checkpoint"
    content = newest.read_bytes()
    cut = data.draw(st.integers(0, len(content) - 1))
    flipped = content[:cut] + bytes([content[cut] ^ 0xFF]) + content[cut + 1 :]
    newest.write_bytes(content[:cut] if data.draw(st.booleans()) else flipped)
    assert checkpoints.load("fold-0").facts == {"rounds": 1}


@pytest.mark.parametrize("content", [b"no zip archive", EMPTY_ZIP])
def test_a_whole_file_that_is_no_checkpoint_is_told_and_not_used(checkpoints, capsys, content):
    checkpoints.save("a", {"rounds": 1})
    (path,) = checkpoints.directory.glob("*.checkpoint")
    path.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    assert checkpoints.load("a") is None
    assert path.name in capsys.readouterr().out


def test_two_damaged_ones_are_as_none(checkpoints, capsys):
    checkpoints.save("fold-0", {"rounds": 1}, keep=2)
    checkpoints.save("fold-0", {"rounds": 2}, keep=2)
    for path in checkpoints.directory.glob("fold-0*"):
        path.write_bytes(path.read_bytes()[:-5])
    assert checkpoints.load("fold-0") is None
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("is damaged and not used" in line for line in lines)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"data": "other"}, "it differs in data"), ({"hyperparameters": {"eta": 0.2, "depth": 3}}, "eta")],
)
def test_those_of_another_job_are_told_in_one_line_left_alone_and_not_used(
    checkpoints, tmp_path, capsys, change, named
):
    checkpoints.save("fold-0", {"rounds": 1})
    other = Checkpoints(tmp_path, "tree", {**IDENTITY, **change})
    assert other.load("fold-0") is None
    (line,) = capsys.readouterr().out.splitlines()
    assert named in line
    assert "are not used" in line
    other.save("fold-0", {"rounds": 2})
    assert checkpoints.load("fold-0").facts == {"rounds": 1}


@pytest.mark.parametrize("identity", ["", "[]", "no JSON", '{"hyperparameters": 3}'])
def test_a_damaged_identity_is_no_error(checkpoints, tmp_path, identity):
    checkpoints.save("fold-0", {"rounds": 1})
    (checkpoints.directory / "identity.json").write_text(identity)
    assert Checkpoints(tmp_path, "tree", {"data": "other"}).load("fold-0") is None
    assert Checkpoints(tmp_path, "tree", IDENTITY).load("fold-0").facts == {"rounds": 1}


def test_a_disk_that_is_full_ends_the_checkpoints_and_not_the_job(checkpoints, monkeypatch, capsys):
    checkpoints.save("fold-0", {"rounds": 1})

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    checkpoints.save("fold-0", {"rounds": 2})
    checkpoints.save("fold-0", {"rounds": 3})
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert checkpoints.load("fold-0").facts == {"rounds": 1}
    assert len(list(checkpoints.directory.iterdir())) == 2


def test_a_directory_that_became_read_only_ends_the_checkpoints_and_not_the_job(
    checkpoints, tmp_path, monkeypatch, capsys
):
    checkpoints.save("fold-0-so-far", {"rounds": 1})
    (checkpoints.directory / "fold-0.000001.checkpoint.partial").touch()

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("unlink", "open", "mkdir", "replace"):  # root may write where the mode says no
        monkeypatch.setattr(Path, name, refuse)
    again = Checkpoints(tmp_path, "tree", IDENTITY)
    assert not again.save("fold-0", {"rounds": 2})
    again.remove("fold-0-so-far")
    assert capsys.readouterr().out.count("Checkpoints are off") == 1


def test_facts_stay_what_they_were(checkpoints):
    facts = {"curve": [0.1, 1e-300, 1 / 3], "rounds": None, "name": "\u00e9"}
    checkpoints.save("a", facts)
    assert checkpoints.load("a").facts == json.loads(json.dumps(facts)) == facts
