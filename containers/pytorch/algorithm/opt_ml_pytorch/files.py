"""Which file of a model's directory is the model, and of what kind it is: nothing is loaded for it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from opt_ml.errors import UserError

SUFFIXES = (".pt2", ".pt", ".pth", ".safetensors")

TORCHSCRIPT = "TorchScript"
EXPORTED = "torch.export"
COMPILED = "AOTInductor"
SAFETENSORS = "safetensors"
PICKLE = "pickle"  # what torch.save writes: state dicts, checkpoints, whole modules

_SIGNS = (
    ("/constants.pkl", TORCHSCRIPT),
    ("/data/aotinductor/", COMPILED),
    ("/models/", EXPORTED),
    ("serialized_exported_program.json", EXPORTED),  # before PyTorch 2.8
)


def find_model_file(model_dir: Path) -> Path:
    """The one model file of a directory; where there are several, the one called `model` (HANDLER-30).

    Raises:
        UserError: there is none, or more than one.
    """
    found = model_dir.iterdir() if model_dir.is_dir() else ()
    files = sorted(path for path in found if path.suffix in SUFFIXES and path.is_file())
    chosen = [path for path in files if path.stem == "model"] if len(files) > 1 else files
    if len(chosen) == 1:
        return chosen[0]
    if not files:
        raise UserError(
            f"{model_dir} holds neither code/inference.py with model_fn(model_dir) nor a model file "
            f"({', '.join(SUFFIXES)}). Put one of them into model.tar.gz."
        )
    names = ", ".join(path.name for path in files)
    raise UserError(
        f"{model_dir} holds several model files: {names}. Keep one, call one of them model{files[0].suffix}, "
        "or load them by model_fn(model_dir) in code/inference.py."
    )


def kind_of(path: Path) -> str:
    """The kind of a model file, by its content; by its name for safetensors, which has no mark.

    Raises:
        UserError: a .pt2 that is no archive.
    """
    if path.suffix == ".safetensors":
        return SAFETENSORS
    if not zipfile.is_zipfile(path):  # as torch.save wrote it before PyTorch 1.6
        if path.suffix == ".pt2":
            raise UserError(f"{path} is no archive of torch.export: it is damaged or was cut off.")
        return PICKLE
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return next((kind for sign, kind in _SIGNS if any(sign in name for name in names)), PICKLE)
