"""model.tar.gz and output.tar.gz: packed as a training job uploads them, unpacked as hosting does."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from toolkit.errors import ToolkitError

_PACK_AGAIN = "Pack the files themselves: tar --dereference --hard-dereference -czf model.tar.gz -C DIR ."


def pack(directory: Path, archive: Path) -> list[str]:
    """Write the files below `directory` into `archive`, a gzip-compressed tar with relative names.

    Nothing is written for an empty directory. Symbolic links stay out (TRAIN-72, HOST-23).

    Returns:
        one line for each symbolic link that was left out.
    """
    paths = sorted(path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
    links = [path for path in paths if path.is_symlink()]
    if len(paths) > len(links):
        with tarfile.open(archive, "w:gz", dereference=True) as tar:  # a hard link becomes a file
            for path in sorted(directory.rglob("*")):
                if not path.is_symlink():
                    tar.add(
                        path, path.relative_to(directory).as_posix(), recursive=False, filter=_owned_by_root
                    )
    return [
        f"{path.relative_to(directory)} is a symbolic link, which SageMaker hosting refuses: it is not in "
        f"{archive.name}. Save a copy of {path.readlink()} instead."
        for path in links
    ]


@contextmanager
def model_directory(model: Path) -> Iterator[Path]:
    """The directory to mount at /opt/ml/model: `model` itself, or what a model.tar.gz holds (HOST-20).

    The directory of a job stands for the model.tar.gz in it. An archive is unpacked into a directory of its
    own, which is removed after the block.

    Raises:
        ToolkitError: no such path, not a gzip-compressed tar, or a member that hosting refuses (HOST-23).
    """
    if (model / "result.json").exists() and (model / "model.tar.gz").exists():
        model = model / "model.tar.gz"
    if model.is_dir():
        yield model.resolve()
        return
    if not model.exists():
        raise ToolkitError(f"The model {model} does not exist.", "Name a model.tar.gz or a directory.")
    scratch = Path(tempfile.mkdtemp(prefix="opt-ml-model-"))
    directory = scratch / "model"
    directory.mkdir()
    try:
        _unpack(model, directory)
        yield directory
    finally:
        for part in [directory, *directory.rglob("*")]:
            if part.is_dir():
                part.chmod(0o755)
        shutil.rmtree(scratch)


def _unpack(archive: Path, directory: Path) -> None:
    """Extract and take away every write permission (HOST-28)."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                _extract(tar, member, archive, directory)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ToolkitError(
            f"{archive} cannot be unpacked: {error}.",
            "A model is one gzip-compressed tar: tar -czf model.tar.gz -C DIR .",
        ) from None
    for path in sorted(directory.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    directory.chmod(0o555)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path, directory: Path) -> None:
    """One member; only files and directories whose place is below `directory`.

    Written out, because tarfile's own `data` filter is missing in Python 3.11.2, that of Debian 12.
    """
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise ToolkitError(f"{archive}: {member.name} lies outside of the model.", _PACK_AGAIN)
    if not (member.isreg() or member.isdir()):
        kind = "a link" if member.issym() or member.islnk() else "a special file"
        raise ToolkitError(
            f"{archive}: {member.name} is {kind}, which SageMaker hosting refuses.", _PACK_AGAIN
        )
    target = directory / name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None, "a regular file has content"  # noqa: S101 - for the type checker
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def newest_model(jobs: Path, image: str) -> Path:
    """The model.tar.gz of the job of `image` that completed last below `jobs`.

    Raises:
        ToolkitError: there is none.
    """
    found = []
    for record in jobs.glob("*/result.json"):
        try:
            result = json.loads(record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # a job that is not ours to judge must not hide the others
        if result["image"] == image and result["status"] == "Completed" and result["model"]:
            found.append((record.stat().st_mtime_ns, record.parent / "model.tar.gz"))
    if not found:
        raise ToolkitError(
            f"No job of {image} with a model has completed in {jobs}/.",
            "Train one first (./build.py train), or name a model.tar.gz or a directory with --model.",
        )
    return max(found)[1]


def readable_size(size: int) -> str:
    """`size` bytes as a person writes it: 917 bytes, 1.2 MB."""
    if size < 1000:
        return f"{size} bytes"
    if size < 1e6:
        return f"{size / 1e3:.1f} kB"
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
