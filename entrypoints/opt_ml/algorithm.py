"""How an image's built-in algorithm is found: by entry points of installed packages, not by name.

A family's package declares, in its own pyproject.toml:

    [project.entry-points."opt_ml.train"]
    ensemble = "opt_ml_ensemble.train:train"

    [project.entry-points."opt_ml.handler"]
    ensemble = "opt_ml_ensemble.handler"

    [project.entry-points."opt_ml.quick"]
    ensemble = "opt_ml_ensemble.quick:load_quick"

    [project.entry-points."opt_ml.compile"]
    ensemble = "opt_ml_ensemble.compile:compile_existing"

`opt_ml.train` names a function `train(environment: Environment) -> None`. `opt_ml.handler` names a
module with the same functions that a user's own inference.py has (`model_fn`, `input_fn`, ...), or a
function that returns one for a model's directory, where an image serves models of several kinds.
`opt_ml.quick` names a function, which says how small requests are answered without a worker; see
`opt_ml.serving.quick`. `opt_ml.compile` names a function that makes models ready for it; see
`opt_ml.compiling`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any


def find_built_in(group: str) -> Any | None:
    """The object that the image's packages register for `group`, or None.

    Args:
        group: `opt_ml.train`, `opt_ml.handler`, `opt_ml.quick` or `opt_ml.compile`.

    Raises:
        RuntimeError: two packages register one; an image has one algorithm.
    """
    found = tuple(entry_points(group=group))
    if len(found) > 1:
        names = ", ".join(sorted(point.value for point in found))
        raise RuntimeError(f"two packages of this image register {group}: {names}. Uninstall one.")
    return found[0].load() if found else None
