"""What AutoGluon's libraries for images need here: torchvision without CUDA, and Pillow strict.

The wheel of torchvision on the public index is linked against CUDA, so that its operators do not load where
PyTorch has none. Nothing here needs them: transforms and the layers that timm takes from it are Python. But
its import says what two of them return, and fails where nobody has declared them.
"""

from __future__ import annotations

import importlib.util

import torch
from PIL import ImageFile

_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def refuse_truncated() -> None:
    """AutoGluon makes Pillow read images that end too soon, as grey below; to be called after its import."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def make_importable() -> None:
    """Declare what the import of torchvision asks for; does nothing where its operators can load."""
    if torch.version.cuda is not None or importlib.util.find_spec("torchvision") is None:
        return
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SCHEMA)
