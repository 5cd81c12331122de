"""How many CPUs this container may really use (HOST-109)."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTAS = (Path("/sys/fs/cgroup/cpu.max"),)


def usable_cpus() -> int:
    """CPUs of the process's affinity, or of the control group's quota where that is less; at least 1."""
    allowed = len(os.sched_getaffinity(0))
    for path in _QUOTAS:
        try:
            quota, period = path.read_text().split()
        except (OSError, ValueError):
            continue
        if quota != "max":
            allowed = min(allowed, math.ceil(int(quota) / int(period)))
    return max(1, allowed)
