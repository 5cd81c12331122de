"""torch.compile, where OPT_ML_PYTORCH_COMPILE asks for it: the module is compiled by its first requests.

The compiled code is for the shapes that come: OPT_ML_PYTORCH_BATCH_SIZES makes those few, and OPT_ML_WARM_UP
lets them come before the container says that it is healthy.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from opt_ml.errors import UserError

from opt_ml_pytorch.settings import Settings

_VARIABLE = "OPT_ML_PYTORCH_COMPILE"
INDUCTOR = "inductor"
_COMPILERS = ("g++", "clang++", "gcc", "clang")


def compile_in_place(model: Any, settings: Settings) -> None:
    """Have a module's calls compiled.

    Args:
        model: what `model_fn` returned.
        settings: the backend, and whether rows are padded to sizes; each is then compiled for itself.

    Raises:
        UserError: an unknown backend, one that lacks its compiler, or a model that is no module of Python's.
    """
    backend = settings.compiler
    known = sorted({INDUCTOR, *torch.compiler.list_backends(exclude_tags=())})
    if backend not in known:
        raise UserError(
            f"{_VARIABLE}={backend} is no backend of torch.compile. Choose true or one of {known}."
        )
    if backend == INDUCTOR and not has_compiler():
        raise UserError(
            f"{_VARIABLE} needs a C++ compiler, and this image has none. Add g++ in an image of your own on "
            "top, or serve a model.pt2 that AOTInductor has compiled elsewhere."
        )
    if not isinstance(model, torch.nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise UserError(
            f"{_VARIABLE} is for modules, and the model is a {type(model).__name__}. Save its state_dict() "
            "beside its class in code/model.py, or the model by torch.export.save."
        )
    # The usual place has the user's name, which a container's user may lack (HOST-93).
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(tempfile.gettempdir(), "torchinductor")))
    model.compile(backend=backend, dynamic=False if settings.sizes else None)


def has_compiler() -> bool:
    """Whether inductor, the usual backend, can work here: it writes C++."""
    return any(shutil.which(name) for name in (os.environ.get("CXX"), *_COMPILERS) if name)
