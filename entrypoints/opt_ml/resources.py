"""How many CPUs this container may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(cgroup: Path = _CGROUP) -> int:
    """CPUs by affinity and by cgroup quota, whichever is less, and at least 1 (HOST-108, HOST-109).

    A quota of 1.5 CPUs counts as 2: a worker more than the quota is throttled, a worker less idles.

    Args:
        cgroup: where the container's own cgroup is mounted, version 2 or version 1.
    """
    count = float(len(os.sched_getaffinity(0)))
    quota = _quota(cgroup)
    return max(1, math.ceil(min(count, quota) if quota is not None else count))


def _quota(cgroup: Path) -> float | None:
    """The CPU quota in CPUs, or None where there is none."""
    version_2 = _numbers(cgroup / "cpu.max")  # "150000 100000", or "max 100000"
    if version_2 is not None:
        return version_2[0] / version_2[1] if len(version_2) == 2 and version_2[1] else None
    quota = _numbers(cgroup / "cpu" / "cpu.cfs_quota_us")  # -1 where there is none
    period = _numbers(cgroup / "cpu" / "cpu.cfs_period_us")
    if not quota or not period or quota[0] <= 0 or period[0] <= 0:
        return None
    return quota[0] / period[0]


def _numbers(path: Path) -> list[int] | None:
    """The whole numbers in a file; [] where a word is none, None where the file cannot be read."""
    try:
        return [int(word) for word in path.read_text(encoding="ascii").split()]
    except OSError:
        return None
    except ValueError:
        return []
