"""The models of a multi-model endpoint: a folder that stands for an S3 prefix, and its unpacked copies."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.artifacts import model_directory
from toolkit.errors import ToolkitError
from toolkit.hosting.api_errors import ApiError, validation_error
from toolkit.machine.run_spec import Bind

MODELS = "/opt/ml/models"


class ModelStore:
    """Copies of the models that have been asked for, in a directory that the container sees read-only.

    Args:
        prefix: directory of archives and model directories; what is put there later counts, too.
        directory: empty, of our own.
    """

    def __init__(self, prefix: Path, directory: Path) -> None:
        self.prefix = prefix
        self._directory = directory
        self._locks: dict[str, threading.RLock] = {}

    @property
    def bind(self) -> Bind:
        """What the container sees (MME-03, MME-15)."""
        return Bind(self._directory, MODELS, read_only=True)

    def identify(self, target_model: str) -> str:
        """The opaque name of a model for the container (MME-13); another one once its file has changed.

        Raises:
            ApiError: there is no such model below the prefix.
        """
        source = self._source(target_model)
        found = [target_model]
        for path in (source, *sorted(source.rglob("*"))):
            with suppress(OSError):  # a link to nowhere, or a file that goes at this moment
                state = path.stat()
                found.append(f"{path} {state.st_mtime_ns} {state.st_size}")
        return hashlib.sha256("\n".join(found).encode()).hexdigest()[:32]

    def alone(self, model_id: str) -> threading.RLock:
        """For the block of one `with` nobody else loads or drops the model."""
        return self._locks.setdefault(model_id, threading.RLock())

    def fetch(self, target_model: str, model_id: str) -> str:
        """Unpack the model where it is not yet; its path in the container.

        Raises:
            ApiError: it cannot be unpacked.
        """
        with self.alone(model_id):
            place = self._directory / model_id
            if not place.exists():
                self._unpack(target_model, place)
        return f"{MODELS}/{model_id}/model"

    def remove(self, model_id: str) -> None:
        """Delete the copy."""
        with self.alone(model_id):
            shutil.rmtree(self._directory / model_id, ignore_errors=True)

    def _unpack(self, target_model: str, place: Path) -> None:
        scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=self._directory))
        try:
            with model_directory(self._source(target_model)) as unpacked:
                shutil.copytree(unpacked, scratch / "model")
            for path in (scratch, *scratch.rglob("*")):
                path.chmod(0o755 if path.is_dir() else 0o444)  # read-only by the mount; ours to remove
            scratch.rename(place)  # whole or not at all
        except ToolkitError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            raise ApiError(424, "ModelError", f"Failed to extract model data: {error.message}") from error

    def _source(self, target_model: str) -> Path:
        source = self.prefix / target_model
        inside = self.prefix.resolve() in source.resolve().parents
        if not (inside and source.exists()):
            names = sorted(path.name for path in self.prefix.iterdir() if not path.name.startswith("."))
            shown = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
            raise validation_error(
                f"Failed to download model data (key: {target_model}). There is no such object below "
                f"{self.prefix}, which has: {shown or 'nothing'}."
            )
        return source


@contextmanager
def model_store(prefix: Path) -> Iterator[ModelStore]:
    """A store whose copies are removed after the block.

    Raises:
        ToolkitError: `prefix` is not a directory.
    """
    if not prefix.is_dir():
        raise ToolkitError(
            f"--multi-model {prefix} is not a directory.",
            "Name a directory of model.tar.gz files; it stands for the S3 prefix.",
        )
    directory = Path(tempfile.mkdtemp(prefix="opt-ml-models-"))
    directory.chmod(0o755)
    try:
        yield ModelStore(prefix, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
