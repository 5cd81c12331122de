"""What breaks a rule, a few lines each: the environment variable FAULT of an image names one.

They run in the images of the zoo, and change the program there before it begins.
"""

from collections.abc import Callable
from types import ModuleType


def apply(name: str, program: ModuleType) -> None:
    """Change the tiny image's program; `name` is a function's, with hyphens.

    Raises:
        LookupError: there is no such fault.
    """
    from . import requests, serving, training

    _find(name, training, serving, requests)(program)


def apply_to_kit(name: str) -> None:
    """Change our own `train` and `serve`; likewise.

    Raises:
        LookupError: there is no such fault.
    """
    from . import handlers, models, scripts

    _find(name, scripts, handlers, models)()


def _find(name: str, *modules: ModuleType) -> Callable[..., None]:
    for module in modules:
        if fault := vars(module).get(name.replace("-", "_")):
            return fault
    raise LookupError(f"FAULT={name} is none of tests/zoo/faults.")
