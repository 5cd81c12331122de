"""What is sent: the files of the build context, the same bytes for the same files."""

from __future__ import annotations

import os
import subprocess
import tarfile
import time
import zipfile

import pytest

from toolkit.building.build_context import sent_files
from toolkit.codebuild.context import TAR_NAME, checkout_context, pack
from toolkit.errors import ToolkitError


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "folder"
    for name, text in {
        "Dockerfile": "FROM scratch\nCOPY . /\n",
        "a file.txt": "one",
        "data/big.bin": "two",
        "data/kept.txt": "three",
        "deep/er/__pycache__/x.pyc": "four",
        "model.bin": "five",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def git(folder, *arguments):
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def files_of(root, names):
    return [name for name in names if not (root / name).is_dir()]


@pytest.mark.contract("CB-01")
def test_a_folder_is_sent_without_what_docker_ignores(folder):
    (folder / ".dockerignore").write_text("# data\ndata\n!data/kept.txt\n**/__pycache__\nDockerfile\n")
    (folder / ".gitignore").write_text("model.bin\n")
    assert files_of(folder, sent_files(folder)) == [
        ".dockerignore",
        ".gitignore",
        "Dockerfile",
        "a file.txt",
        "data/kept.txt",
        "model.bin",  # docker does not go by .gitignore
    ]


def test_the_ignore_file_of_a_dockerfile_counts_before_the_common_one(folder):
    (folder / "gpu.Dockerfile").write_text("FROM scratch\n")
    (folder / ".dockerignore").write_text("data\n")
    (folder / "gpu.Dockerfile.dockerignore").write_text("deep\n*.bin\n")
    names = files_of(folder, sent_files(folder, "gpu.Dockerfile"))
    assert {"data/big.bin", "gpu.Dockerfile", "gpu.Dockerfile.dockerignore"} <= set(names)
    assert {"model.bin", "deep/er/__pycache__/x.pyc"}.isdisjoint(names)


def test_a_checkout_is_sent_without_what_git_ignores_and_each_folder_without_what_docker_ignores(folder):
    git(folder, "init", "--quiet")
    (folder / ".gitignore").write_text("model.bin\n")
    (folder / "deep/.dockerignore").write_text("**/__pycache__\n")
    (folder / "deep/new.txt").write_text("not added yet")
    git(folder, "add", "a file.txt", "data")
    (folder / "data/big.bin").unlink()
    assert checkout_context(folder) == [
        ".gitignore",
        "Dockerfile",
        "a file.txt",
        "data/kept.txt",
        "deep/.dockerignore",
        "deep/new.txt",
    ]


def test_a_folder_that_is_no_checkout_is_an_error_with_a_cure(folder):
    with pytest.raises(ToolkitError) as caught:
        checkout_context(folder)
    assert "is no git checkout" in caught.value.message
    assert "git -C" in caught.value.cure


def test_the_same_files_are_the_same_archive_whenever_and_by_whomever_they_are_packed(folder, tmp_path):
    first = pack(folder, sent_files(folder), tmp_path / "1.zip")
    later = time.time() + 1000
    for path in folder.rglob("*"):
        os.utime(path, (later, later))
        path.chmod(path.stat().st_mode | 0o020)
    second = pack(folder, reversed(sent_files(folder)), tmp_path / "2.zip")
    assert first.digest == second.digest
    assert first.path.read_bytes() == second.path.read_bytes()


@pytest.mark.parametrize("change", ["content", "mode", "name", "link", "empty directory"])
def test_what_a_build_can_see_is_in_the_hash(folder, tmp_path, change):
    before = pack(folder, sent_files(folder), tmp_path / "1.zip").digest
    path = folder / "model.bin"
    if change == "content":
        path.write_text("fife")
    elif change == "mode":
        path.chmod(0o755)
    elif change == "name":
        path.rename(folder / "model2.bin")
    elif change == "link":
        path.unlink()
        path.symlink_to("data/big.bin")
    else:
        (folder / "empty").mkdir()
    assert pack(folder, sent_files(folder), tmp_path / "2.zip").digest != before


def test_modes_links_and_empty_directories_arrive(folder, tmp_path):
    (folder / "model.bin").chmod(0o700)
    (folder / "link").symlink_to("nowhere")
    (folder / "empty").mkdir()
    archive = pack(folder, sent_files(folder), tmp_path / "1.zip")
    with zipfile.ZipFile(archive.path) as zipped:
        zipped.extract(TAR_NAME, tmp_path)
    with tarfile.open(tmp_path / TAR_NAME) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    out = tmp_path / "out"
    assert (out / "model.bin").stat().st_mode & 0o777 == 0o755
    assert (out / "link").readlink().as_posix() == "nowhere"
    assert list((out / "empty").iterdir()) == []
    assert sent_files(out) == sent_files(folder)
