"""Checkpoints: whole or not there, of this job or not used, and never more than a job needs.

SageMaker copies the checkpoint directory to S3 while the job runs, at moments of its own, and brings it
back before a restarted container begins (TRAIN-91). So a checkpoint must never be half a file, old ones
must go, and whatever is found at the start may be damaged or of another job.

A checkpoint is one file: the SHA-256 of what follows, a line feed, and a zip archive (uncompressed) of JSON
facts and files. Nothing in it is ever unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opt_ml.environment import Environment

_FACTS = "facts.json"
_IDENTITY = "identity.json"
_SUFFIX = ".checkpoint"
_PARTIAL = ".partial"


@dataclass(frozen=True)
class Checkpoint:
    """What was saved under a name.

    Attributes:
        facts: JSON values.
        files: name to content.
    """

    facts: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)


def checkpoint_dir(environment: Environment) -> Path:
    """Where the job wants its checkpoints: LocalPath of checkpointconfig.json, else /opt/ml/checkpoints.

    The file is there only for a job with a CheckpointConfig and is not documented (TRAIN-47, TRAIN-49), so
    one that says nothing useful is passed over (TRAIN-90).
    """
    path = environment.base / "input" / "config" / "checkpointconfig.json"
    try:
        local = json.loads(path.read_text(encoding="utf-8"))["LocalPath"]
    except (OSError, ValueError, LookupError, TypeError):
        return environment.checkpoint_dir
    return Path(local) if isinstance(local, str) and local else environment.checkpoint_dir


class Checkpoints:
    """The checkpoints of one job, in a directory of their own below the checkpoint directory.

    Args:
        root: the checkpoint directory.
        family: first part of the directory's name, such as `ensemble`.
        identity: what the result depends on, in parts with a name for people: `data`, `hyperparameters`,
            `versions`, each as a text or as JSON values. Only a job that is equal in all of them finds the
            checkpoints again; those of others are left alone and told in one line.
    """

    def __init__(self, root: Path, family: str, identity: Mapping[str, Any]) -> None:
        self._identity = json.loads(json.dumps(dict(identity), sort_keys=True))
        text = json.dumps(self._identity, sort_keys=True)
        self.directory = root / f"{family}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self._writes = True
        _tell_others(root, family, self.directory, self._identity)
        for partial in self.directory.glob(f"*{_PARTIAL}"):  # of a container that was killed
            _remove(partial)

    @classmethod
    def open(cls, environment: Environment, family: str, identity: Mapping[str, Any]) -> Checkpoints | None:
        """The job's checkpoints, or None for a job without a checkpoint directory (TRAIN-92)."""
        root = checkpoint_dir(environment)
        return cls(root, family, identity) if root.is_dir() else None

    def save(
        self, name: str, facts: Mapping[str, Any], files: Mapping[str, bytes] | None = None, keep: int = 1
    ) -> bool:
        """Write a checkpoint: under another name, down to the disk, then renamed (TRAIN-93).

        A disk that is full ends no job: it is told once, and the job goes on without checkpoints.

        Returns:
            whether it was written.

        Args:
            name: letters, digits, `-` and `_`.
            facts: JSON values.
            files: name to content.
            keep: so many of this name stay, the newest; two where a damaged one would cost much.
        """
        if not self._writes:
            return False
        serial = max((number for number, _ in self._found(name)), default=0) + 1
        target = self.directory / f"{name}.{serial:06d}{_SUFFIX}"
        try:
            self._prepare()
            _write(target, _packed(facts, files or {}))
        except OSError as error:
            self._writes = False
            print(f"Checkpoints are off from here on: {target} cannot be written ({error}).", flush=True)
            return False
        for number, path in self._found(name):
            if number <= serial - keep:
                _remove(path)
        return True

    def load(self, name: str) -> Checkpoint | None:
        """The newest whole checkpoint of that name, or None; a damaged one is told and passed over."""
        for _, path in sorted(self._found(name), reverse=True):
            try:
                return _unpacked(path.read_bytes())
            except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
                print(f"The checkpoint {path} is damaged and not used ({error}).", flush=True)
        return None

    def remove(self, name: str) -> None:
        """Delete all checkpoints of that name; the copy in S3 follows (TRAIN-91)."""
        for _, path in self._found(name):
            _remove(path)

    def names(self) -> list[str]:
        """The names that have a checkpoint."""
        return sorted({path.name.split(".")[0] for path in self.directory.glob(f"*{_SUFFIX}")})

    def _found(self, name: str) -> list[tuple[int, Path]]:
        found = []
        for path in self.directory.glob(f"{name}.*{_SUFFIX}"):
            serial = path.name.removeprefix(f"{name}.").removesuffix(_SUFFIX)
            if serial.isdigit():
                found.append((int(serial), path))
        return found

    def _prepare(self) -> None:
        path = self.directory / _IDENTITY
        if not path.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            _write(path, json.dumps(self._identity, indent=1, sort_keys=True).encode())


def _remove(path: Path) -> None:
    """A directory that has become read-only keeps it: that ends no job."""
    with suppress(OSError):
        path.unlink()


def _write(target: Path, content: bytes) -> None:
    partial = target.with_name(target.name + _PARTIAL)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    """Makes the rename itself last; some mounted file systems do not know how, and rename all the same."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _packed(facts: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_FACTS, json.dumps(dict(facts)))
        for name, content in files.items():
            archive.writestr(f"files/{name}", content)
    return _checksum(buffer.getvalue()) + buffer.getvalue()


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode() + b"\n"


def _unpacked(content: bytes) -> Checkpoint:
    end = content.find(b"\n") + 1
    if content[:end] != _checksum(content[end:]):
        raise ValueError("its checksum is wrong")
    with zipfile.ZipFile(io.BytesIO(content[end:])) as archive:
        facts = json.loads(archive.read(_FACTS))
        names = [name for name in archive.namelist() if name != _FACTS]
        return Checkpoint(facts, {name.removeprefix("files/"): archive.read(name) for name in names})


def _tell_others(root: Path, family: str, own: Path, identity: Mapping[str, Any]) -> None:
    """One line for checkpoints that are not used; they may belong to another job, so they stay."""
    others = sorted(path for path in root.glob(f"{family}-*") if path.is_dir() and path != own)
    if own.is_dir() or not others:
        return
    differences = sorted({part for other in others for part in _different(other, identity)})
    what = f" (it differs in {', '.join(differences)})" if differences else ""
    print(f"The checkpoints in {root} are of another job{what} and are not used.", flush=True)


def _different(other: Path, identity: Mapping[str, Any]) -> list[str]:
    try:
        theirs = json.loads((other / _IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(theirs, dict):
        return []
    found = []
    for part, ours in identity.items():
        if theirs.get(part) == ours:
            continue
        both = isinstance(ours, dict) and isinstance(theirs.get(part), dict)
        inner = [key for key in ours if theirs[part].get(key) != ours[key]] if both else []
        found.append(f"{part} {', '.join(inner[:5])}" if inner else part)
    return found
