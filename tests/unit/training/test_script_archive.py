"""Source archives: nothing leaves the directory, and what cannot be unpacked is named."""

from __future__ import annotations

import errno
import io
import random
import shutil
import tarfile

import pytest
from opt_ml.errors import UserError
from opt_ml.training.script.archive import unpack


def archive(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o4755
            if kind == tarfile.REGTYPE:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.linkname = content
                tar.addfile(member)
    return path


@pytest.mark.contract("TT-21")
def test_nothing_of_an_archive_leaves_the_directory(tmp_path):
    members = [
        ("ok/a.py", tarfile.REGTYPE, b"a"),
        ("../../up.py", tarfile.REGTYPE, b"u"),
        ("/etc/abs.py", tarfile.REGTYPE, b"b"),
        ("inside", tarfile.SYMTYPE, "ok/a.py"),
        ("hard", tarfile.LNKTYPE, "ok/a.py"),
        ("outside", tarfile.SYMTYPE, "../../.."),
        ("absolute", tarfile.SYMTYPE, "/etc"),
        ("absolute/passwd", tarfile.REGTYPE, b"x"),
        ("fifo", tarfile.FIFOTYPE, ""),
    ]
    target = tmp_path / "deep" / "code"
    unpack(archive(tmp_path / "a.tar.gz", members), target, "a.tar.gz")
    files = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert files == {
        "ok/a.py": b"a",
        "up.py": b"u",
        "etc/abs.py": b"b",
        "inside": b"a",
        "hard": b"a",
        "absolute/passwd": b"x",
    }
    assert (target / "ok" / "a.py").stat().st_mode & 0o7777 == 0o755
    assert {path.name for path in tmp_path.rglob("*")} >= {"a.tar.gz", "deep"}
    assert not (tmp_path / "up.py").exists()


@pytest.mark.contract("TT-21")
def test_a_chain_of_links_does_not_lead_out(tmp_path):
    members = [
        ("a", tarfile.SYMTYPE, "."),
        ("a/b", tarfile.SYMTYPE, ".."),
        ("a/b/evil.py", tarfile.REGTYPE, b"x"),
    ]
    unpack(archive(tmp_path / "a.tar.gz", members), tmp_path / "code", "a.tar.gz")
    assert not (tmp_path / "evil.py").exists()


@pytest.mark.contract("TT-03")
@pytest.mark.parametrize("content", [b"", b"no archive", b"<html>\n</html>\n", b"\x1f\x8b\x08\x00cut off"])
def test_what_is_no_archive_is_named_in_one_line(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"s3://b/a\.tar\.gz cannot be unpacked") as caught:
        unpack(tmp_path / "a.tar.gz", tmp_path / "code", "s3://b/a.tar.gz")
    assert "\n" not in str(caught.value)


@pytest.mark.contract("TT-03")
@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("place", [0.5, 0.999])
def test_an_archive_that_was_damaged_on_the_way_is_not_run(tmp_path, mode, place):
    noise = random.Random(1).randbytes(1_000_000)
    path = archive(tmp_path / "a.tar", [("train.py", tarfile.REGTYPE, noise)], mode)
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"s3://b/a\.tar cannot be unpacked"):
        unpack(path, tmp_path / "code", "s3://b/a.tar")


def test_a_disk_that_is_full_is_not_taken_for_a_damaged_archive(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    path = archive(tmp_path / "a.tar", [("train.py", tarfile.REGTYPE, b"x")])
    with pytest.raises(OSError, match="No space left"):
        unpack(path, tmp_path / "code", "a.tar")
