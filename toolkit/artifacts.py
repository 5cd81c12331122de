"""model.tar.gz and output.tar.gz: packed as a training job uploads them, unpacked as hosting does."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from toolkit.errors import ToolkitError

_PACK_AGAIN = "Pack the files themselves: tar --dereference --hard-dereference -czf model.tar.gz -C DIR ."


def gather(directories: Mapping[str, Path], archive: str) -> tuple[dict[str, Path], list[str]]:
    """What the hosts of a job left, as the one tree that is uploaded (TRAIN-74).

    Of a name that several hosts used, that of the first host stays. Symbolic links stay out (TRAIN-72,
    HOST-23), and so do sockets and pipes.

    Args:
        directories: host -> its directory, the first host first.
        archive: name of what the tree becomes, for the warnings.

    Returns:
        relative name -> file or directory, sorted; and one warning for each link, and for names that clash.
    """
    found: dict[str, Path] = {}
    warnings, clashes = [], []
    for host, directory in directories.items():
        for path in sorted(directory.rglob("*")):
            name = path.relative_to(directory)
            if path.is_symlink():
                warnings.append(
                    f"{name} is a symbolic link, which SageMaker hosting refuses: it is not in {archive}. "
                    f"Save a copy of {path.readlink()} instead."
                )
            elif _clashes(name, path, found):
                clashes.append(f"{name} of {host}")
            elif path.is_dir() or path.is_file():
                found.setdefault(name.as_posix(), path)
    if clashes:
        shown = ", ".join(clashes[:3]) + (f" and {len(clashes) - 3} more" if len(clashes) > 3 else "")
        warnings.append(
            f"Several hosts left files of the same name; not in {archive}: {shown}. Let only the first host "
            "write the model, and put the host's name into other files."
        )
    return dict(sorted(found.items())), warnings


def _clashes(name: PurePath, path: Path, found: Mapping[str, Path]) -> bool:
    """True where the name is taken, by anything for a file, and by a file for a directory or on the way."""
    taken = [found[key.as_posix()] for key in (name, *name.parents) if key.as_posix() in found]
    return any(other.is_file() for other in taken) or (path.is_file() and name.as_posix() in found)


def pack(directories: Path | Mapping[str, Path], archive: Path) -> list[str]:
    """Write the files of a directory, or of the hosts, into a gzip-compressed tar with relative names.

    Nothing is written where there is no file.

    Returns:
        the warnings of `gather`.
    """
    found, warnings = gather(_of_hosts(directories), archive.name)
    if any(path.is_file() for path in found.values()):
        with tarfile.open(archive, "w:gz", dereference=True) as tar:  # a hard link becomes a file
            for name, path in found.items():
                tar.add(path, name, recursive=False, filter=_owned_by_root)
    return warnings


def lay_out(directories: Path | Mapping[str, Path], target: Path) -> list[str]:
    """The same as `pack`, but as single files below `target`: a job without compression (TRAIN-71)."""
    found, warnings = gather(_of_hosts(directories), target.name)
    for name, path in found.items():
        if path.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / name)
    return warnings


def _of_hosts(directories: Path | Mapping[str, Path]) -> Mapping[str, Path]:
    return {"": directories} if isinstance(directories, Path) else directories


def located_model(model: Path) -> Path:
    """The archive or the model directory that `model` means.

    The directory of a job stands for the model.tar.gz or the model directory in it, that of a tuning job
    for its best training job.

    Raises:
        ToolkitError: no such path.
    """
    if (model / "tuning.json").is_file():
        model = _of_tuning_job(model)
    if (model / "result.json").exists():
        model = next((found for found in (model / "model.tar.gz", model / "model") if found.exists()), model)
    if not model.exists():
        raise ToolkitError(f"The model {model} does not exist.", "Name a model.tar.gz or a directory.")
    return model


@contextmanager
def model_directory(model: Path) -> Iterator[Path]:
    """The directory to mount at /opt/ml/model: the located model, or what its archive holds (HOST-20).

    An archive is unpacked into a directory of its own, which is removed after the block.

    Raises:
        ToolkitError: no such path, not a gzip-compressed tar, or a member that hosting refuses (HOST-23).
    """
    model = located_model(model)
    if model.is_dir():
        yield model.resolve()
        return
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


def _of_tuning_job(directory: Path) -> Path:
    try:
        _, model = _tuned(json.loads((directory / "tuning.json").read_text(encoding="utf-8")), directory)
    except (OSError, ValueError, KeyError, TypeError):
        model = None
    if model is None:
        raise ToolkitError(
            f"The tuning job {directory} has no training job with a model.", "Name one of its jobs."
        )
    return model


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
    """The model of the job of `image` that completed last below `jobs`: its archive, or its directory.

    A tuning job counts as one job, with the model of its best training job.

    Raises:
        ToolkitError: there is none.
    """
    readers = {"result.json": _trained, "tuning.json": _tuned}
    found = []
    for name, read in readers.items():
        for record in jobs.glob(f"*/{name}"):
            try:
                its_image, model = read(json.loads(record.read_text(encoding="utf-8")), record.parent)
                if its_image == image and model:
                    found.append((record.stat().st_mtime_ns, model))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # a job that is not ours to judge must not hide the others
    if not found:
        raise ToolkitError(
            f"No job of {image} with a model has completed in {jobs}/.",
            "Train one first (./build.py train), or name a model.tar.gz or a directory with --model.",
        )
    return max(found)[1]


def _trained(result: Mapping[str, Any], directory: Path) -> tuple[str, Path | None]:
    """Image and model of a training job; no model where it did not complete."""
    model = result["ModelArtifacts"]["S3ModelArtifacts"]
    completed = result["TrainingJobStatus"] == "Completed" and model
    # Below its own directory, wherever that was moved to.
    return result["AlgorithmSpecification"]["TrainingImage"], directory / Path(
        model
    ).name if completed else None


def _tuned(record: Mapping[str, Any], directory: Path) -> tuple[str, Path | None]:
    """Image and best model of a tuning job, finished or not."""
    best = record["BestTrainingJob"]
    trained = {**record["TrainingJobDefinition"], **best}
    return _trained(trained, directory / best["TrainingJobName"])


def total_size(path: Path) -> int:
    """Bytes of a file, or of all files below a directory."""
    if path.is_dir():
        return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
    return path.stat().st_size


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
