"""What AutoGluon's libraries for images need here: torchvision without CUDA, and Pillow strict.

The wheel of torchvision on the public index is linked against CUDA, so that its operators do not load where
PyTorch has none. Nothing here needs them: transforms and the layers that timm takes from it are Python. But
its import says what two of them return, and fails where nobody has declared them. The build without CUDA,
which AWS's containers bring, declares its own, and ends the process where somebody has done so before.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec, PathFinder

import torch
from PIL import ImageFile

_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def refuse_truncated() -> None:
    """AutoGluon makes Pillow read images that end too soon, as grey below; to be called after its import."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def make_importable() -> None:
    """Declare what the import of torchvision asks for; does nothing where its operators load."""
    found = importlib.util.find_spec("torchvision")
    if found is None or _operators_load(found):
        return
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SCHEMA)


def _operators_load(torchvision: ModuleSpec) -> bool:
    """Load the library of operators as torchvision's import will, once more and without effect."""
    library = PathFinder.find_spec("_C", torchvision.submodule_search_locations)
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)
    except OSError:
        return False
    return True
