"""TorchScript modules on CPUs, a second time: frozen, in the layout that oneDNN computes fastest.

A frozen module has its weights as constants, and oneDNN keeps what passes between its layers in blocks of its
own. Convolutions of a batch are several times as fast so. One row may be slower, for the way into that layout
and back has its price, and some modules PyTorch freezes wrongly or not at all. So it is tried on a sample:
the frozen module is used from the number of rows at which it is faster, where it says the same.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

_MOST_WEIGHTS = 1 << 28  # bytes of a module that is kept a second time
_PATIENCE = 5.0  # seconds of trying; larger calls are then taken to be like the largest tried
_CALLS = 5  # of each, of which the quickest counts
_WARM_UP = 3  # TorchScript is optimized in its first calls
_GAIN = 0.9  # of the module's own time that a frozen call may take


class Frozen(NamedTuple):
    """The frozen module.

    Attributes:
        call: takes and returns what the module does.
        kind: of the rows that it was tried with: shape without the first axis, and type.
        least_rows: from which it is faster.
    """

    call: Callable[[torch.Tensor], Any]
    kind: tuple[torch.Size, torch.dtype]
    least_rows: int

    def suits(self, data: Any) -> bool:
        """True for tensors that it is faster for."""
        if not isinstance(data, torch.Tensor) or (data.shape[1:], data.dtype) != self.kind:
            return False
        return data.ndim > 1 and len(data) >= self.least_rows


def freeze(module: Any, rows: torch.Tensor, most_rows: int) -> Frozen | None:
    """The module frozen; None where that is no gain, or not for this kind of module.

    Args:
        module: in evaluation mode.
        rows: a sample, shape (n, ...), on the module's device and in its type.
        most_rows: of one call.
    """
    if not isinstance(module, torch.jit.ScriptModule) or not _is_suitable(module, rows):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is deprecated: whoever saved the model knows
            frozen = torch.jit.optimize_for_inference(module)
        return _compare(module, frozen, rows, max(most_rows, len(rows)))
    except (
        Exception
    ):  # a module that cannot be frozen is used as it is; which error says so is PyTorch's affair
        return None


def _is_suitable(module: torch.nn.Module, rows: torch.Tensor) -> bool:
    weights = list(module.parameters())
    if rows.device.type != "cpu" or not weights:
        return False
    is_plain = all(weight.dtype == torch.float32 for weight in weights)
    return is_plain and sum(weight.nbytes for weight in weights) <= _MOST_WEIGHTS


def _compare(module: Any, frozen: Any, rows: torch.Tensor, most_rows: int) -> Frozen | None:
    """Try 1, 2, 4 rows and so on.

    Raises:
        AssertionError: the two say something else.
    """
    began = time.perf_counter()
    least_rows: int | None = None
    count = 1
    while count <= most_rows and time.perf_counter() - began < _PATIENCE:
        data = rows[torch.arange(count) % len(rows)]
        with torch.inference_mode():
            torch.testing.assert_close(frozen(data), module(data), rtol=1e-4, atol=1e-5)
            is_faster = _seconds(frozen, data) < _GAIN * _seconds(module, data)
        least_rows = (least_rows or count) if is_faster else None
        count *= 2
    return None if least_rows is None else Frozen(frozen, (rows.shape[1:], rows.dtype), least_rows)


def _seconds(call: Callable[[torch.Tensor], Any], data: torch.Tensor) -> float:
    for _ in range(_WARM_UP):
        call(data)
    times = []
    for _ in range(_CALLS):
        began = time.perf_counter()
        call(data)
        times.append(time.perf_counter() - began)
    return min(times)
