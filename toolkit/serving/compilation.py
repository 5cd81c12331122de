"""A compiled copy into an existing model, by the image that serves it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from toolkit.artifacts import model_directory, pack
from toolkit.errors import ToolkitError, WorkError
from toolkit.jobs.job_log import OnLine
from toolkit.machine.containers import engine
from toolkit.machine.run_spec import Bind, RunSpec

_SOURCE, _TARGET = "/opt/ml/model", "/opt/ml/compiled"


def compilation(image: str, source: Path, target: Path) -> RunSpec:
    """The container that reads the model directory `source` and writes into `target`."""
    return RunSpec(
        image=image,
        command=("compile-model", _SOURCE, _TARGET),
        purpose="compile",
        binds=(Bind(source, _SOURCE, read_only=True), Bind(target, _TARGET)),
        network="none",
    )


def compile_model(image: str, model: Path, archive: Path, on_line: OnLine) -> None:
    """Write `archive`: the model with a compiled copy; the model itself stays as it is.

    Args:
        image: local reference.
        model: what `model_directory` takes.
        archive: a model.tar.gz that is not there yet.
        on_line: receives what the container says.

    Raises:
        ToolkitError: no such image or model, or `archive` is there already.
        WorkError: the image cannot compile this model.
    """
    if archive.exists():
        raise ToolkitError(f"{archive} exists already.", "Name another file with --output, or remove it.")
    with model_directory(model) as source, tempfile.TemporaryDirectory(prefix="opt-ml-compiled-") as scratch:
        target = Path(scratch) / "model"
        target.mkdir()
        lines: list[str] = []
        with engine().run(compilation(image, source, target)) as container:
            for line in container.lines():
                lines.append(line)
                on_line(line)
            exit_code = container.wait()
        engine().give_to_caller(image, target)
        if exit_code:
            cause = lines[-1] if lines else f"exit code {exit_code}"
            raise WorkError(f"{image} did not compile {model}: {cause}")
        archive.parent.mkdir(parents=True, exist_ok=True)
        pack(target, archive)
