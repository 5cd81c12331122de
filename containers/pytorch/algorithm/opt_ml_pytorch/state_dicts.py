"""A module from its weights and the class in code/."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from opt_ml.errors import UserError
from opt_ml.serving.handler import import_program
from torch import nn

_VARIABLE = "OPT_ML_PYTORCH_MODEL"
_PARTS = (
    "state_dict",
    "model_state_dict",
    "model",
)  # of a checkpoint, where training scripts keep the weights
_DDP = "module."  # what DistributedDataParallel and DataParallel put before each name


def load_module(weights: Any, path: Path, model_dir: Path, named: str) -> nn.Module:
    """The module of the model's own code, with these weights.

    Args:
        weights: a state dict, or a checkpoint that holds one.
        path: where they come from, for the errors.
        model_dir: has code/.
        named: `file.py:name` of a class or of a function without arguments; empty for the only class of
            code/model.py.

    Raises:
        UserError: no state dict, no such class, or one that other weights belong to.
    """
    state = _state_dict(weights)
    if state is None:
        raise UserError(
            f"{path} holds a {type(weights).__name__} and no state dict. Save model.state_dict(), or write "
            "model_fn(model_dir) into code/inference.py."
        )
    module = _build(path, model_dir, named)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        cause = " ".join(str(error).split())[:600]
        raise UserError(
            f"{path} does not fit {type(module).__name__}: {cause}. Name the class that was trained by "
            f"{_VARIABLE}=model.py:NAME."
        ) from None
    return module


def _state_dict(weights: Any) -> dict[str, torch.Tensor] | None:
    if not isinstance(weights, Mapping):
        return None
    found = next((weights[name] for name in _PARTS if isinstance(weights.get(name), Mapping)), weights)
    if not found or not all(isinstance(value, torch.Tensor) for value in found.values()):
        return None
    prefix = _DDP if all(name.startswith(_DDP) for name in found) else ""
    return {name.removeprefix(prefix): value for name, value in found.items()}


def _build(path: Path, model_dir: Path, named: str) -> nn.Module:
    file, _, name = named.partition(":")
    code = model_dir / "code" / (file or "model.py")
    if not code.is_file():
        raise UserError(
            f"{path.name} holds weights only, and {code} does not exist. Put the model's class there, name "
            f"another by {_VARIABLE}=file.py:Class, or save a whole model by torch.export.save."
        )
    program = import_program(code, model_dir / "code")
    make = getattr(program, name, None) if name else _only_class(program, code)
    if not callable(make):
        raise UserError(f"{code} has no class or function {name!r} ({_VARIABLE}={named}).")
    try:
        inspect.signature(make).bind()
    except TypeError as error:
        raise UserError(
            f"{code}: {make.__name__} cannot be made without arguments ({error}). Write a function without "
            f"arguments that makes it, and name it by {_VARIABLE}={code.name}:FUNCTION."
        ) from None
    module = make()
    if not isinstance(module, nn.Module):
        raise UserError(f"{code}: {make.__name__} makes a {type(module).__name__}, not a torch.nn.Module.")
    return module


def _only_class(program: ModuleType, code: Path) -> type[nn.Module]:
    classes = [
        value
        for value in vars(program).values()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == program.__name__
    ]
    if len(classes) != 1:
        names = ", ".join(one.__name__ for one in classes) or "none"
        raise UserError(
            f"{code} must define one torch.nn.Module, but has {names}. "
            f"Name it by {_VARIABLE}={code.name}:NAME."
        )
    return classes[0]
