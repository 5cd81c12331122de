"""Compile an ensemble that was trained without: the image's `opt_ml.compile`."""

from __future__ import annotations

import shutil
from pathlib import Path

from opt_ml.errors import UserError

from opt_ml_ensemble.bundle import load_bundle
from opt_ml_ensemble.compiled.export import compile_model
from opt_ml_ensemble.compiled.loading import DIRECTORY


def compile_existing(source: Path, target: Path) -> None:
    """Copy the model directory `source` to `target`, and compile it there.

    The training data are not here: the rows to compare on are made from what the trees ask for.

    Raises:
        UserError: no ensemble in `source`, or one that cannot be compiled, with the reason.
    """
    bundle = load_bundle(source)
    for path in source.iterdir():
        if path.is_dir() and path.name != DIRECTORY:
            shutil.copytree(path, target / path.name)
        elif path.is_file():
            shutil.copyfile(path, target / path.name)
    outcome = compile_model(bundle, target)
    if not outcome.is_compiled:
        raise UserError(outcome.line)
    print(outcome.line, flush=True)
