"""What a container sees of its model: /opt/ml/model, read-only, and a handler under work laid over it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from toolkit.artifacts import model_directory
from toolkit.errors import ToolkitError
from toolkit.machine.run_spec import Bind

MODEL = "/opt/ml/model"


@contextmanager
def model_binds(model: Path | None, code: Path | None = None) -> Iterator[tuple[Bind, ...]]:
    """The binds of one container, all read-only (HOST-21).

    Args:
        model: what `model_directory` takes; None for no model (HOST-22).
        code: directory that stands in the place of the model's own `code/`. It is bound as it is, so a
            restart of the server sees what has been changed in it.

    Raises:
        ToolkitError: no such model or directory.
    """
    if code is not None and not code.is_dir():
        raise ToolkitError(f"--code {code} is not a directory.", "Name the directory of inference.py.")
    with ExitStack() as resources:
        directory = resources.enter_context(model_directory(model)) if model else None
        if code is None:
            yield (Bind(directory, MODEL, read_only=True),) if directory else ()
            return
        # A mount point must be there before the mount, and the model is not ours to write to: the places are
        # made in a directory of our own, and each entry of the model is bound on its place.
        places = Path(tempfile.mkdtemp(prefix="opt-ml-places-"))
        resources.callback(shutil.rmtree, places, ignore_errors=True)
        places.chmod(0o755)
        binds = [Bind(places, MODEL, read_only=True)]
        for entry in sorted(directory.iterdir()) if directory else []:
            if entry.name != "code":
                (places / entry.name).mkdir() if entry.is_dir() else (places / entry.name).touch()
                binds.append(Bind(entry, f"{MODEL}/{entry.name}", read_only=True))
        (places / "code").mkdir()
        yield (*binds, Bind(code.resolve(), f"{MODEL}/code", read_only=True))
