"""The default `model_fn`: a model file to something that is called with a tensor.

A pickle can run any code when it is read, so only what cannot is read by default: `weights_only` of
torch.load. TorchScript and exported programs hold a program of PyTorch's own operators, and AOTInductor's
packages machine code, as their formats mean them to.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from opt_ml.errors import UserError

from opt_ml_pytorch import files
from opt_ml_pytorch.settings import Settings
from opt_ml_pytorch.state_dicts import load_module

_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def load_model(model_dir: Path, settings: Settings, device: torch.device) -> Any:
    """The model of a directory, on `device`, ready to predict.

    Raises:
        UserError: no model file or several, one that cannot be read, or weights without their class.
    """
    path = files.find_model_file(model_dir)
    kind = files.kind_of(path)
    try:
        with _pickles(settings.may_unpickle):
            model = _LOADERS[kind](path, device)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} is a pickle of more than weights, which could run any code when it is read. Save the "
            "model by torch.export.save or torch.jit.save, or its state_dict() beside its class in "
            "code/model.py. Where you trust the file, set OPT_ML_PYTORCH_UNPICKLE=true."
        ) from None
    except UserError:
        raise
    except Exception as error:  # the readers raise whatever a broken file trips over
        cause = " ".join(str(error).split())[:400] or type(error).__name__
        raise UserError(f"{path} cannot be read as {kind}: {cause}") from error
    if kind in (files.PICKLE, files.SAFETENSORS) and not isinstance(model, torch.nn.Module):
        model = load_module(model, path, model_dir, settings.model).to(device)
    if kind not in (files.EXPORTED, files.COMPILED):  # these were made for predicting, and refuse
        model.eval()
    return model


def _exported(path: Path, device: torch.device) -> Any:
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(torch.export.load(path), device).module()


def _compiled(path: Path, device: torch.device) -> Any:
    import torch._inductor

    return torch._inductor.aoti_load_package(str(path))


def _torchscript(path: Path, device: torch.device) -> Any:
    return torch.jit.load(str(path), map_location=device)


def _safetensors(path: Path, device: torch.device) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _pickle(path: Path, device: torch.device) -> Any:
    code = str(path.parent / "code")
    if code not in sys.path:  # of the classes of a whole module
        sys.path.insert(0, code)
    return torch.load(path, map_location=device, weights_only=_WEIGHTS_ONLY in os.environ)


_LOADERS: Mapping[str, Callable[[Path, torch.device], Any]] = {
    files.TORCHSCRIPT: _torchscript,
    files.EXPORTED: _exported,
    files.COMPILED: _compiled,
    files.SAFETENSORS: _safetensors,
    files.PICKLE: _pickle,
}


@contextmanager
def _pickles(are_allowed: bool) -> Iterator[None]:
    """Whether a pickle may be read whole meanwhile.

    torch.export.load reads the sample inputs of a program by torch.load, and where weights_only refuses them
    once more without. PyTorch's variable forbids that.
    """
    before = os.environ.pop(_WEIGHTS_ONLY, None)
    if not are_allowed:
        os.environ[_WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        os.environ.pop(_WEIGHTS_ONLY, None)
        if before is not None:
            os.environ[_WEIGHTS_ONLY] = before
