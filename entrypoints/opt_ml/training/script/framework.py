"""`SAGEMAKER_TRAINING_MODULE=package.module:function`: a framework container's own `train` (TT-18).

Run as a program, `python -m opt_ml.training.script.framework package.module:function`, so that it has a
process group, signals and a failure file as a user's program has.
"""

from __future__ import annotations

import sys
from importlib import import_module


def main(name: str) -> None:
    """Import the module and call the function without arguments."""
    module, _, function = name.partition(":")
    getattr(import_module(module), function)()


if __name__ == "__main__":
    main(sys.argv[1])
