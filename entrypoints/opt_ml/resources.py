"""How many CPUs and how much memory this container may really use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = 1000  # the kernel's highest
_PAGE = os.sysconf("SC_PAGE_SIZE")


def usable_cpus(cgroup: Path = _CGROUP) -> int:
    """CPUs by affinity and by cgroup quota, whichever is less, and at least 1 (HOST-108, HOST-109).

    A quota of 1.5 CPUs counts as 2: a worker more than the quota is throttled, a worker less idles.

    Args:
        cgroup: where the container's own cgroup is mounted, version 2 or version 1.
    """
    count = float(len(os.sched_getaffinity(0)))
    quota = _quota(cgroup)
    return max(1, math.ceil(min(count, quota) if quota is not None else count))


def memory_limit(cgroup: Path = _CGROUP, meminfo: Path = _MEMINFO) -> int:
    """Bytes that this container may have in all: the cgroup's limit, or what the machine has if that is less.

    Args:
        cgroup: where the container's own cgroup is mounted, version 2 or version 1.
        meminfo: the kernel's /proc/meminfo.
    """
    limit, machine = _memory_limit(cgroup), _table(meminfo).get("MemTotal:", 0) * 1024
    return machine if limit is None else min(limit, machine)


def available_memory(cgroup: Path = _CGROUP, meminfo: Path = _MEMINFO) -> int:
    """Bytes that this container can still get before something is killed.

    The page cache counts as free, because the kernel takes it back before it kills. The machine's memory
    counts too: its containers share it (PIPE-08).

    Args:
        cgroup: where the container's own cgroup is mounted, version 2 or version 1.
        meminfo: the kernel's /proc/meminfo.
    """
    machine = _table(meminfo).get("MemAvailable:", 0) * 1024
    limit, used = _memory_limit(cgroup), _memory_used(cgroup)
    return machine if limit is None or used is None else max(0, min(machine, limit - used))


def own_memory(process: int) -> int:
    """Bytes that only this process has: what its end gives back. 0 for one that has ended."""
    try:
        words = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return (int(words[1]) - int(words[2])) * _PAGE  # resident without what is shared, such as libraries


def threads_of_worker() -> int:
    """The worker's share of the CPUs, which the server says by OMP_NUM_THREADS; 1 where nobody says."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return int(threads) if threads.isdigit() and int(threads) else 1


@contextmanager
def first_to_go() -> Iterator[None]:
    """While it lasts, the kernel ends this process before others of the container where memory is short."""
    before = _oom_score()
    set_oom_score(_FIRST_TO_GO)
    try:
        yield
    finally:
        set_oom_score(before)


def set_oom_score(score: int) -> None:
    """How readily the kernel ends this process where memory is short; nothing changes where that is refused.

    Args:
        score: -1000 to 1000, added to the thousandths of the memory that the process has.
    """
    with suppress(OSError):
        _OOM_SCORE.write_text(str(score), encoding="ascii")


def _oom_score() -> int:
    try:
        return int(_OOM_SCORE.read_text(encoding="ascii"))
    except OSError:
        return 0


def _memory_limit(cgroup: Path) -> int | None:
    """The limit in bytes, or None where there is none."""
    version_2 = _numbers(cgroup / "memory.max")  # "max" where there is none
    found = _numbers(cgroup / "memory" / "memory.limit_in_bytes") if version_2 is None else version_2
    return found[0] if found else None


def _memory_used(cgroup: Path) -> int | None:
    """Bytes in use, without the page cache."""
    for used, directory, prefix in (
        ("memory.current", cgroup, ""),
        ("memory.usage_in_bytes", cgroup / "memory", "total_"),
    ):
        numbers = _numbers(directory / used)
        if numbers:
            facts = _table(directory / "memory.stat")
            cache = facts.get(f"{prefix}active_file", 0) + facts.get(f"{prefix}inactive_file", 0)
            return max(0, numbers[0] - cache)
    return None


def _table(path: Path) -> dict[str, int]:
    """First to second word of each line, where that is a number; empty where the file cannot be read."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    pairs = (line.split()[:2] for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


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
