"""What a job's containers use, sampled from outside: CPU, memory, disk, network and GPU.

The source is the engine's own counters, one reading at a time (`GET /containers/ID/stats?one-shot`). It is
the same for cgroup v1 and v2, for an engine on another machine and for Docker Desktop; the cgroup files
themselves are finer and cheaper (0.1 ms instead of 3 ms of CPU), but there is nothing to read where the
engine is not on this kernel, and the engine's stream of readings has no more than one a second.
"""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

from toolkit.measuring.gpu import GpuReader, GpuReading

FIRST = 0.02  # seconds until the first reading, so that hardly any job has none
FINEST = 0.1  # seconds between readings at the start, so that a job of one second has ten
COARSEST = 1.0
GROWTH = 50  # a job that has run t seconds is read every t/GROWTH seconds, within the two bounds
MOST_SAMPLES = 2000  # above, neighbours are joined: a job of a week takes no more room than one of an hour


class Readable(Protocol):
    """What is sampled: `toolkit.machine.containers.Container`."""

    def stats(self) -> Mapping[str, Any]:
        """Counters as the engine gives them; without `memory_stats` once the container has ended."""


@dataclass(frozen=True)
class Sample:
    """One reading. Counters (`_total`) begin at 0 with the container; None is what the engine does not say.

    Attributes:
        time_s: seconds since the container's start.
        cpu_total_s: core seconds.
        memory_bytes: in use, with the page cache.
        memory_without_cache_bytes: what the kernel could not simply drop.
        disk_read_total_bytes, disk_write_total_bytes: of block devices, not of the page cache.
        network_in_total_bytes, network_out_total_bytes: of all interfaces but loopback.
        gpu_utilisation_percent: mean of the machine's devices.
        gpu_memory_bytes: sum of the machine's devices.
    """

    time_s: float
    cpu_total_s: float = 0.0
    memory_bytes: int = 0
    memory_without_cache_bytes: int = 0
    disk_read_total_bytes: int | None = None
    disk_write_total_bytes: int | None = None
    network_in_total_bytes: int | None = None
    network_out_total_bytes: int | None = None
    gpu_utilisation_percent: float | None = None
    gpu_memory_bytes: int | None = None


@dataclass
class HostUsage:
    """The samples of one host, and what holds for all of them.

    Attributes:
        host: such as `algo-1`.
        cpus: cores that the container may use; 0 until known.
        memory_limit_bytes: its limit, or the machine's memory; 0 until known.
        gpus: the machine's devices as (name, bytes).
        memory_peak_bytes: the kernel's own highest value with page cache; None where it keeps none.
        throttled_share: of the scheduler's periods, those in which the limit on CPUs held the job back.
        machine_busy_share: of all cores of this machine, busy with whatever; None where it cannot be read.
        notes: one line for each thing that is missing, and why.
    """

    host: str
    cpus: float = 0.0
    memory_limit_bytes: int = 0
    gpus: tuple[tuple[str, int], ...] = ()
    memory_peak_bytes: int | None = None
    throttled_share: float = 0.0
    machine_busy_share: float | None = None
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Recorder:
    """Samples every host of a job; `watch` is what `toolkit.jobs.job.execute` takes.

    Args:
        cpus: the limit that the containers have; None for all of the machine's.
    """

    def __init__(self, cpus: float | None = None) -> None:
        self._cpus = cpus
        self._hosts: dict[str, HostUsage] = {}
        self._started: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def hosts(self) -> tuple[HostUsage, ...]:
        """What has been seen, by host."""
        with self._lock:
            return tuple(self._hosts[name] for name in sorted(self._hosts, key=_natural))

    @contextmanager
    def watch(self, host: str, container: Readable) -> Iterator[None]:
        """Sample `container` in a thread until the block ends; whatever goes wrong is a note, no error.

        A host that is started again, as after a spot interruption, goes on where it was.
        """
        with self._lock:
            usage = self._hosts.setdefault(host, HostUsage(host, cpus=self._cpus or 0.0))
            started = self._started.setdefault(host, time.monotonic())
        ended = threading.Event()
        thread = threading.Thread(target=_sample, args=(container, usage, started, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=5)


def _natural(host: str) -> tuple[str, int]:
    stem, _, number = host.rpartition("-")
    return (stem, int(number)) if number.isdigit() else (host, 0)


def _sample(container: Readable, usage: HostUsage, started: float, ended: threading.Event) -> None:
    finest, pause = FINEST, FIRST
    before = usage.samples[-1] if usage.samples else Sample(0.0)
    machine = _machine_ticks()
    try:
        with GpuReader() as gpu:
            usage.gpus, missing = gpu.devices, gpu.why_not
            usage.notes += [missing] if missing else []
            while not ended.wait(pause):
                pause = max(finest, min(COARSEST, (time.monotonic() - started) / GROWTH))
                stats = container.stats()
                if not stats.get("memory_stats"):
                    break  # the container has ended; its counters went with it
                _take(usage, stats, time.monotonic() - started, gpu.latest(), before)
                if len(usage.samples) > MOST_SAMPLES:
                    usage.samples[:] = thinned(usage.samples)
                    finest = max(2 * finest, 2 * COARSEST)
    except Exception as error:  # an engine that breaks here must not break the job
        usage.notes.append(f"Sampling ended early: {str(error).partition(chr(10))[0]}")
    usage.machine_busy_share = _busy_share(machine, _machine_ticks())
    if not usage.samples:
        usage.notes.append("The job ended before the first reading.")
    elif usage.samples[-1].disk_read_total_bytes is None:
        usage.notes.append(
            "Disk: the engine has counted nothing. The files were in memory already, or its kernel does not "
            "count for containers."
        )


def _take(
    usage: HostUsage, stats: Mapping[str, Any], seconds: float, gpu: GpuReading | None, before: Sample
) -> None:
    memory, cpu = stats["memory_stats"], stats["cpu_stats"]
    usage.cpus = usage.cpus or float(cpu.get("online_cpus") or 0)
    usage.memory_limit_bytes = int(memory.get("limit") or 0)
    if memory.get("max_usage"):  # cgroup v1
        usage.memory_peak_bytes = max(usage.memory_peak_bytes or 0, int(memory["max_usage"]))
    throttling = cpu.get("throttling_data") or {}
    if throttling.get("periods"):
        usage.throttled_share = throttling["throttled_periods"] / throttling["periods"]
    usage.samples.append(_continued(read(stats, seconds, gpu), before))


def _machine_ticks() -> tuple[int, int] | None:
    """Busy and all ticks of this machine's cores since its start, from /proc/stat."""
    try:
        ticks = [int(word) for word in _PROC_STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None  # not Linux
    idle = ticks[3] + ticks[4]  # and waiting for a disk
    return sum(ticks) - idle, sum(ticks)


def _busy_share(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float | None:
    if before is None or after is None or after[1] <= before[1]:
        return None
    return round((after[0] - before[0]) / (after[1] - before[1]), 3)


def _continued(sample: Sample, before: Sample) -> Sample:
    """The counters on top of those of the container before; unknown is what both do not know."""
    totals = {
        name: sum(known)
        for name in _TOTALS
        if (known := [value for one in (before, sample) if (value := getattr(one, name)) is not None])
    }
    return replace(sample, **totals)


def read(stats: Mapping[str, Any], seconds: float, gpu: GpuReading | None = None) -> Sample:
    """One answer of the engine as a sample, for cgroup v1 and v2.

    Args:
        stats: as `GET /containers/ID/stats` answers.
        seconds: since the container's start.
        gpu: what the GPUs say at that time.
    """
    memory = stats["memory_stats"]
    detail = memory.get("stats") or {}
    # v1 has both, and the one of the whole tree is right; pages of /dev/shm are in neither and stay in use.
    cache = sum(int(detail.get(f"total_{name}", detail.get(name, 0))) for name in _FILE_PAGES)
    networks = stats.get("networks")
    return Sample(
        time_s=round(seconds, 3),
        cpu_total_s=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        memory_bytes=int(memory.get("usage", 0)),
        memory_without_cache_bytes=max(int(memory.get("usage", 0)) - cache, 0),
        disk_read_total_bytes=_disk(stats, "read"),
        disk_write_total_bytes=_disk(stats, "write"),
        network_in_total_bytes=_network(networks, "rx_bytes"),
        network_out_total_bytes=_network(networks, "tx_bytes"),
        gpu_utilisation_percent=gpu.utilisation_percent if gpu else None,
        gpu_memory_bytes=gpu.memory_bytes if gpu else None,
    )


_FILE_PAGES = ("active_file", "inactive_file")
_PROC_STAT = Path("/proc/stat")
_TOTALS = tuple(column.name for column in fields(Sample) if "_total_" in column.name)


def _disk(stats: Mapping[str, Any], direction: str) -> int | None:
    # v1 says Read, v2 says read; an empty list is a device that does not count, or nothing done yet.
    entries = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    values = [int(entry["value"]) for entry in entries if entry["op"].lower() == direction]
    return sum(values) if values else None


def _network(networks: Mapping[str, Mapping[str, int]] | None, counter: str) -> int | None:
    return sum(int(interface[counter]) for interface in networks.values()) if networks else None


def thinned(samples: Sequence[Sample]) -> list[Sample]:
    """Every second sample, with the highest memory of the pair; counters lose nothing by it."""
    pairs = zip(samples[::2], samples[1::2], strict=False)
    joined = [
        replace(
            second,
            memory_bytes=max(first.memory_bytes, second.memory_bytes),
            memory_without_cache_bytes=max(
                first.memory_without_cache_bytes, second.memory_without_cache_bytes
            ),
        )
        for first, second in pairs
    ]
    return joined + list(samples[len(joined) * 2 :])


def write_csv(path: Path, hosts: Sequence[HostUsage]) -> None:
    """All samples of all hosts as one table: `host` and the fields of `Sample`; empty for unknown."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["host", *(column.name for column in fields(Sample))])
        writer.writerows([usage.host, *astuple(sample)] for usage in hosts for sample in usage.samples)
