"""A model directory that is either complete or empty."""

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
    half-written model must never be there. On an exception the scratch directory is removed and
    `model_dir` stays as it was. Files get mode 0644 and directories 0755: hosting may run as another
    user than training (HOST-28, HOST-92).

    Yields:
        an empty directory on the container's own disk (TRAIN-81).
    """
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        staging = Path(scratch)
        yield staging
        for path in staging.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        model_dir.mkdir(parents=True, exist_ok=True)
        for path in sorted(staging.iterdir()):
            _replace(path, model_dir / path.name)


def _replace(source: Path, target: Path) -> None:
    """Move over a mount boundary, so that `target` is never seen half-written."""
    partial = target.with_name(f".{target.name}.partial")
    if source.is_dir():
        shutil.copytree(source, partial)
        if target.is_dir():
            shutil.rmtree(target)
    else:
        shutil.copy2(source, partial)
    partial.replace(target)
