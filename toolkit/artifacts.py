"""model.tar.gz and output.tar.gz: packed as a training job uploads them, unpacked as hosting does."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import ToolkitError


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

    An archive is unpacked into a directory of its own, which is removed after the block.

    Raises:
        ToolkitError: no such path, not a gzip-compressed tar, or a member that hosting refuses (HOST-23).
    """
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
                if member.issym() or member.islnk():
                    raise ToolkitError(
                        f"{archive}: {member.name} is a link, which SageMaker hosting refuses.",
                        "Pack the files themselves: tar --dereference --hard-dereference -czf ...",
                    )
                tar.extract(member, directory, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ToolkitError(
            f"{archive} cannot be unpacked: {error}.",
            "A model is one gzip-compressed tar: tar -czf model.tar.gz -C DIR .",
        ) from None
    for path in sorted(directory.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    directory.chmod(0o555)


def newest_model(jobs: Path, image: str) -> Path:
    """The model.tar.gz of the job of `image` that completed last below `jobs`.

    Raises:
        ToolkitError: there is none.
    """
    found = []
    for record in jobs.glob("*/result.json"):
        result = json.loads(record.read_text(encoding="utf-8"))
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
