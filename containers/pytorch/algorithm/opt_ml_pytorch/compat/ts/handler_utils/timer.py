"""How long a handler's methods take."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import torch


def timed(func: Callable[..., Any]) -> Callable[..., Any]:
    """A method that is measured where model-config.yaml says `handler: {profile: true}`.

    The time is the metric `ts_handler_NAME`, in milliseconds, the GPU's work included.
    """

    @functools.wraps(func)
    def measured(self: Any, *args: Any, **kwargs: Any) -> Any:
        config = getattr(self.context, "model_yaml_config", None) or {}
        if not (config.get("handler") or {}).get("profile"):
            return func(self, *args, **kwargs)
        started = _now()
        result = func(self, *args, **kwargs)
        self.context.metrics.add_time(f"ts_handler_{func.__name__}", (_now() - started) * 1000)
        return result

    return measured


def _now() -> float:
    """Seconds, after all that was given to the GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
