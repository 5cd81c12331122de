"""One call of a model: on its device, in its number type, without gradients."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from opt_ml.errors import RequestError, is_out_of_memory

from opt_ml_pytorch.device import chosen_device
from opt_ml_pytorch.frozen import Frozen, freeze

_MISFIT = re.compile(
    r"Guard failed|\b([Ss]hapes?|[Ss]izes?|dims?|[Dd]imensions?|channels|index out of range|[1-6]D)\b"
)
_TRACE = "frame #"  # of the lines that C++ adds


class _Place(NamedTuple):
    device: torch.device
    dtype: torch.dtype


_places: WeakKeyDictionary[torch.nn.Module, _Place] = WeakKeyDictionary()
_frozen: WeakKeyDictionary[torch.nn.Module, Frozen] = WeakKeyDictionary()


def prepare(model: Any, rows: Any, most_rows: int) -> None:
    """Have `predict` call the model in its fastest form; see `frozen`.

    Args:
        model: as `predict` takes it.
        rows: a sample, which is passed over where it is no tensor of rows.
        most_rows: of one call.
    """
    if isinstance(rows, torch.Tensor) and rows.ndim > 1 and len(rows):
        found = freeze(model, _placed(rows, model), most_rows)
        if found is not None:
            _frozen[model] = found


def predict(data: Any, model: Any) -> Any:
    """What the model says to one input.

    A tensor of floating-point numbers is turned into the type of the model's weights: a client sends float64
    without meaning it.

    Args:
        data: a tensor for a module; anything for a model of the user's own kind.
        model: a module, or anything with `predict` or that can be called.

    Raises:
        RequestError: 400 for a tensor of a shape that the model does not take.
    """
    if isinstance(data, torch.Tensor):
        data = _placed(data, model)
    call = model if callable(model) or not hasattr(model, "predict") else model.predict
    frozen = _frozen.get(model) if isinstance(model, torch.jit.ScriptModule) else None
    with torch.inference_mode():
        if frozen is not None and frozen.suits(data):
            with suppress(Exception):  # the module itself says what is wrong
                return frozen.call(data)
        try:
            return call(data)
        except (RuntimeError, AssertionError, IndexError, ValueError) as error:
            cause = _misfit(error)
            if cause is None or not isinstance(data, torch.Tensor):
                raise
            raise RequestError(
                400, f"The model takes no input of shape {tuple(data.shape)}: {cause}", shape=list(data.shape)
            ) from None


def _placed(data: torch.Tensor, model: Any) -> torch.Tensor:
    place = _place_of(model)
    return data.to(place.device, place.dtype if data.is_floating_point() else None)


def _place_of(model: Any) -> _Place:
    """Where a model computes. A module of the user's is brought to the device, and out of training mode."""
    if not isinstance(model, torch.nn.Module):
        return _Place(chosen_device(), torch.float32)
    place = _places.get(model)
    if place is None:
        if model.training and not isinstance(model, torch.fx.GraphModule):  # an exported program has no modes
            model.eval()
        model.to(chosen_device())
        dtypes = (weight.dtype for weight in model.parameters() if weight.is_floating_point())
        place = _places[model] = _Place(chosen_device(), next(dtypes, torch.float32))
    return place


def _misfit(error: Exception) -> str | None:
    """The line of an error that says that the input's shape is wrong; None for any other error.

    PyTorch has no class of its own for it, and TorchScript and AOTInductor put a trace around the text.
    """
    text = str(error)
    if is_out_of_memory(text):
        return None
    told = (line.strip() for line in text.splitlines() if not line.startswith(_TRACE))
    lines = [line for line in told if _MISFIT.search(line)]
    return lines[-1].removeprefix("RuntimeError: ")[:500] if lines else None
