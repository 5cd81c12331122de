"""A model directory that is either complete or as it was."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged_model(model_dir: Path) -> Iterator[Path]:
    """A scratch directory whose content becomes the content of `model_dir` when the block succeeds.

    SageMaker uploads whatever lies in /opt/ml/model, also after a failure (TRAIN-70, TRAIN-95), so a
    half-written model must never be there. On an exception, in the block or while the files are brought
    over (a full disk), `model_dir` stays as it was. Files get mode 0644 and directories 0755: hosting may
    run as another user than training (HOST-28, HOST-92).

    Yields:
        an empty directory on the container's own disk (TRAIN-81).
    """
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        staging = Path(scratch)
        yield staging
        for path in staging.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        model_dir.mkdir(parents=True, exist_ok=True)
        _bring(sorted(staging.iterdir()), model_dir)


def _bring(sources: list[Path], model_dir: Path) -> None:
    """Copy everything over the mount boundary under other names first; only renames are left then."""
    partials = {model_dir / f".{source.name}.partial": source for source in sources}
    try:
        for partial, source in partials.items():
            _remove(partial)
            if source.is_dir():
                shutil.copytree(source, partial)
            else:
                shutil.copy2(source, partial)
    except BaseException:
        for partial in partials:
            _remove(partial)
        raise
    for partial, source in partials.items():
        target = model_dir / source.name
        _remove(target)
        partial.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
