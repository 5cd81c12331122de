"""Where models and tensors lie."""

from __future__ import annotations

from functools import cache

import torch
from opt_ml.errors import UserError

from opt_ml_pytorch.settings import read_settings


@cache
def chosen_device() -> torch.device:
    """The device that the environment names, else a GPU where there is one.

    Raises:
        UserError: a name that PyTorch does not know, or a GPU that is not there.
    """
    name = read_settings().device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        cause = str(error).partition("\n")[0]
        raise UserError(
            f"OPT_ML_PYTORCH_DEVICE={name} cannot be used here. Give cpu, or cuda on an instance with a GPU. "
            f"PyTorch says: {cause}"
        ) from None
    return device
