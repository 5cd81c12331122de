"""`compile-model`: a trained model with a compiled copy beside it, for serving (see `serving.quick`).

A family whose algorithm compiles its models at the end of training declares the same for existing ones:

    [project.entry-points."opt_ml.compile"]
    ensemble = "opt_ml_ensemble.compile:compile_existing"

`compile_existing(source: Path, target: Path) -> None` reads the model directory `source` and writes all of
it, with the compiled copy, into the empty directory `target`. It raises a UserError where it cannot.
"""

from __future__ import annotations

import sys
from pathlib import Path

from opt_ml.algorithm import find_built_in
from opt_ml.errors import UserError


def main() -> int:
    """The console script: `compile-model SOURCE TARGET`. Returns the exit code."""
    if len(sys.argv) != 3:
        print("usage: compile-model SOURCE TARGET", file=sys.stderr)
        return 2
    try:
        compile_existing = find_built_in("opt_ml.compile")
        if compile_existing is None:
            raise UserError("This image compiles no models.")
        compile_existing(Path(sys.argv[1]), Path(sys.argv[2]))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
