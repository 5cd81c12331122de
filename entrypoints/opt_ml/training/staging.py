"""A model directory that is either complete or as it was."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType


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
        for partial in model_dir.glob(".*.partial"):  # of a container that was killed meanwhile (TRAIN-98)
            _remove(partial)
        _bring(sorted(staging.iterdir()), model_dir)


def _bring(sources: list[Path], model_dir: Path) -> None:
    """Copy everything over the mount boundary under other names first; only renames are left then."""
    partials = {model_dir / f".{source.name}.partial": source for source in sources}
    with ExitStack() as renaming:
        try:
            for partial, source in partials.items():
                _remove(partial)
                if source.is_dir():
                    shutil.copytree(source, partial)
                else:
                    shutil.copy2(source, partial)
            renaming.enter_context(_without_signals())
        except BaseException:
            for partial in partials:
                _remove(partial)
            raise
        for partial, source in partials.items():
            target = model_dir / source.name
            _remove(target)
            partial.rename(target)


@contextmanager
def _without_signals() -> Iterator[None]:
    """SIGTERM and SIGINT take effect after the block: half of the renames would be half a model.

    Blocking them in this thread is not enough: the kernel hands them to any thread that does not block
    them, such as one of a library, and Python then runs the handler in the main thread all the same.
    """
    arrived: list[int] = []
    before: dict[signal.Signals, object] = {}

    def note(signum: int, frame: FrameType | None) -> None:
        arrived.append(signum)

    try:
        if threading.current_thread() is threading.main_thread():  # handlers run in no other
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) is not None:  # None: not Python's, so it cannot be put back
                    before[number] = signal.getsignal(number)
                    signal.signal(number, note)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        for signum in dict.fromkeys(arrived):
            signal.raise_signal(signum)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
