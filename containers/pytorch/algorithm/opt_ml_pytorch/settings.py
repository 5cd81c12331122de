"""What the environment says about serving PyTorch models.

| variable | meaning | default |
|---|---|---|
| OPT_ML_PYTORCH_DEVICE | `cpu`, `cuda` or `cuda:1`: where models and tensors lie | a GPU where there is one |
| OPT_ML_PYTORCH_MODEL | `model.py:Net`: what makes the module of a state dict | see `state_dicts` |
| OPT_ML_PYTORCH_UNPICKLE | `true`: pickles are loaded whole, and may run any code | false |
| OPT_ML_PYTORCH_COMPILE | `true`, or a backend of torch.compile: modules are compiled by it | false |
| OPT_ML_PYTORCH_BATCH | rows that one call of the model may take; 1: each request alone | 1 |
| SAGEMAKER_TS_BATCH_SIZE | the same, as AWS's toolkit calls it, where that is not set (HANDLER-31) | |
| OPT_ML_PYTORCH_BATCH_SIZES | `1,8,32`: joined rows are padded with zeros to the next of these | no padding |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from opt_ml.errors import UserError

_BATCH = ("OPT_ML_PYTORCH_BATCH", "SAGEMAKER_TS_BATCH_SIZE")
_SIZES = "OPT_ML_PYTORCH_BATCH_SIZES"
_UNPICKLE = "OPT_ML_PYTORCH_UNPICKLE"
_COMPILE = "OPT_ML_PYTORCH_COMPILE"


@dataclass(frozen=True)
class Settings:
    """How this process serves.

    Attributes:
        device: of PyTorch's names, or empty for its choice.
        model: `file:name` below code/, or empty.
        may_unpickle: whether a pickle may be loaded whole.
        compiler: the backend of torch.compile, or empty.
        most_rows: of one call of the model; 1 where requests are not joined.
        sizes: in ascending order, or empty for no padding.
    """

    device: str = ""
    model: str = ""
    may_unpickle: bool = False
    compiler: str = ""
    most_rows: int = 1
    sizes: tuple[int, ...] = ()


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process.

    Raises:
        UserError: a variable whose value cannot be used, by name.
    """
    name = next((name for name in _BATCH if environment.get(name, "").strip()), "")
    most_rows = _number(name, environment[name]) if name else 1
    text = environment.get(_SIZES, "").strip()
    sizes = tuple(sorted(_number(_SIZES, size) for size in text.split(","))) if text else ()
    if sizes and sizes[-1] > most_rows:
        raise UserError(
            f"{_SIZES}={text} has a size over {most_rows} rows, the most that one call takes. "
            f"Set {_BATCH[0]}={sizes[-1]}."
        )
    return Settings(
        device=environment.get("OPT_ML_PYTORCH_DEVICE", "").strip(),
        model=environment.get("OPT_ML_PYTORCH_MODEL", "").strip(),
        may_unpickle=_is_true(environment.get(_UNPICKLE, "")),
        compiler=_compiler(environment.get(_COMPILE, "").strip()),
        most_rows=most_rows,
        sizes=sizes,
    )


def _number(name: str, text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise UserError(f"{name} holds {text.strip()!r}. Give numbers of rows, 1 or more.")
    return int(text)


def _compiler(text: str) -> str:
    if text.lower() in ("", "false", "0"):
        return ""
    return "inductor" if text.lower() in ("true", "1") else text


def _is_true(text: str) -> bool:
    value = text.strip().lower()
    if value not in ("", "true", "false", "1", "0"):
        raise UserError(f"{_UNPICKLE}={text} is neither true nor false.")
    return value in ("true", "1")
