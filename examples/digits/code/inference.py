"""The handler, in the form that AWS's PyTorch toolkit made common; what it leaves out comes from the image.

`input_fn` is the image's: NPY of shape (n, 1, 8, 8), or JSON of nested lists. So is `output_fn`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from network import Digits


def model_fn(model_dir: str) -> torch.nn.Module:
    """The network with the weights of the job."""
    network = Digits()
    network.load_state_dict(torch.load(Path(model_dir) / "model.pth", map_location="cpu", weights_only=True))
    return network.eval()


def predict_fn(data: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
    """The probabilities of the ten digits, shape (n, 10)."""
    with torch.inference_mode():
        return torch.softmax(model(data), dim=1)
