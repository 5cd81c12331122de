"""What the samples of a job say, in figures; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from toolkit.artifacts import readable_size
from toolkit.measuring.usage import HostUsage, Sample

SHORTEST_S = 0.08
SHORTEST_JOB_S = 1.0
FULL = 0.95  # of the cores or the memory: at the limit
WAITING_CORES = 0.5
WAITING_BYTES_PER_S = 5e6
GPU_IDLE_PERCENT = 10.0


@dataclass(frozen=True)
class Usage:
    """One host's figures over its whole life; None for what nothing is known about.

    Attributes:
        time_s: from the container's start to the last reading.
        cpu_full_share, memory_full_share: of the time, above 95 % of what there is.
        waiting_share: of the time, hardly computing while data come in from disk or network.
        throttled_share: of the scheduler's periods, held back by the limit on CPUs.
        machine_busy_share: of all cores of this machine, with whatever; None where it cannot be read.
        memory_peak_bytes: without page cache, as sampled.
        memory_peak_with_cache_bytes: the kernel's own peak where it keeps one, else as sampled.
        gpu_idle_share: of the time, below 10 % utilisation.
    """

    host: str
    time_s: float
    samples: int
    cpus: float
    cpu_mean_cores: float
    cpu_peak_cores: float
    cpu_full_share: float
    throttled_share: float
    machine_busy_share: float | None
    memory_limit_bytes: int
    memory_mean_bytes: int
    memory_peak_bytes: int
    memory_peak_with_cache_bytes: int
    memory_full_share: float
    disk_read_bytes: int | None
    disk_write_bytes: int | None
    network_in_bytes: int | None
    network_out_bytes: int | None
    waiting_share: float
    gpus: int
    gpu_utilisation_mean_percent: float | None
    gpu_utilisation_peak_percent: float | None
    gpu_idle_share: float | None
    gpu_memory_peak_bytes: int | None
    gpu_memory_bytes: int | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For the job's result."""
        return asdict(self)

    def line(self) -> str:
        """`CPU 0.9 of 2 cores, memory 410 MB, disk 12 MB read`: what stands under a job's last line.

        Empty where the job was over at once, for then it says nothing.
        """
        if self.time_s < SHORTEST_JOB_S:
            return ""
        parts = [f"CPU {self.cpu_mean_cores:.1f} of {count_cores(self.cpus)}"]
        parts.append(f"memory {readable_size(self.memory_peak_bytes)} at most")
        if self.disk_read_bytes or self.disk_write_bytes:
            parts.append(
                f"disk {readable_size(self.disk_read_bytes or 0)} read, "
                f"{readable_size(self.disk_write_bytes or 0)} written"
            )
        if self.gpu_utilisation_mean_percent is not None:
            parts.append(f"GPU {self.gpu_utilisation_mean_percent:.0f}% busy")
        return ", ".join(parts)


def line_of(usages: Sequence[Usage]) -> str:
    """`Usage.line` of a job: all hosts' cores, and the memory of the one that used most."""
    if len(usages) < 2:
        return "".join(usage.line() for usage in usages)
    if max(usage.time_s for usage in usages) < SHORTEST_JOB_S:
        return ""
    cores = sum(usage.cpu_mean_cores for usage in usages)
    memory = readable_size(max(usage.memory_peak_bytes for usage in usages))
    return f"{len(usages)} hosts: CPU {cores:.1f} cores together, memory {memory} at most on one"


@dataclass(frozen=True)
class Interval:
    """What happened between two readings: rates, per second."""

    start_s: float
    end_s: float
    cpu_cores: float
    disk_read_bytes_per_s: float | None
    disk_write_bytes_per_s: float | None
    network_in_bytes_per_s: float | None
    network_out_bytes_per_s: float | None

    @property
    def length_s(self) -> float:
        """In seconds."""
        return self.end_s - self.start_s


def count_cores(cpus: float) -> str:
    """`1 core`, `2 cores`, `0.5 cores`."""
    return f"{cpus:g} core" if cpus == 1 else f"{cpus:g} cores"


def intervals(samples: Sequence[Sample]) -> list[Interval]:
    """Rates between neighbours, the first from the container's start.

    Readings closer than `SHORTEST_S` are joined: a clock's jitter would be a spike.
    """
    found = []
    before = Sample(0.0)
    for sample in samples:
        length = sample.time_s - before.time_s
        if length >= SHORTEST_S or (sample is samples[-1] and length > 0):
            found.append(
                Interval(
                    before.time_s,
                    sample.time_s,
                    max(sample.cpu_total_s - before.cpu_total_s, 0.0) / length,
                    _rate(before.disk_read_total_bytes, sample.disk_read_total_bytes, length),
                    _rate(before.disk_write_total_bytes, sample.disk_write_total_bytes, length),
                    _rate(before.network_in_total_bytes, sample.network_in_total_bytes, length),
                    _rate(before.network_out_total_bytes, sample.network_out_total_bytes, length),
                )
            )
            before = sample
    return found


def _rate(before: int | None, after: int | None, length: float) -> float | None:
    # Before the first count it was 0: the counters begin with the container.
    return None if after is None else max(after - (before or 0), 0) / length


def summarise(usage: HostUsage) -> Usage | None:
    """The figures of one host; None where there was no reading at all."""
    samples, spans = usage.samples, intervals(usage.samples)
    if not spans:
        return None
    last, total = samples[-1], spans[-1].end_s
    limit = usage.memory_limit_bytes
    with_cache = max(sample.memory_bytes for sample in samples)

    def share(holds: Callable[[Interval], bool]) -> float:
        return round(sum(span.length_s for span in spans if holds(span)) / total, 3)

    busy = [(s.time_s, s.gpu_utilisation_percent) for s in samples if s.gpu_utilisation_percent is not None]
    gpu_memory = [s.gpu_memory_bytes for s in samples if s.gpu_memory_bytes is not None]
    return Usage(
        host=usage.host,
        time_s=total,
        samples=len(samples),
        cpus=usage.cpus,
        cpu_mean_cores=_no_more_than(usage.cpus, last.cpu_total_s / total),
        cpu_peak_cores=_no_more_than(usage.cpus, _highest_rate(spans)),
        cpu_full_share=share(lambda span: span.cpu_cores >= FULL * usage.cpus > 0),
        throttled_share=round(usage.throttled_share, 3),
        machine_busy_share=usage.machine_busy_share,
        memory_limit_bytes=limit,
        memory_mean_bytes=round(_mean([(s.time_s, s.memory_without_cache_bytes) for s in samples])),
        memory_peak_bytes=max(sample.memory_without_cache_bytes for sample in samples),
        memory_peak_with_cache_bytes=max(with_cache, usage.memory_peak_bytes or 0),
        memory_full_share=_mean(
            [(s.time_s, 0 < FULL * limit <= s.memory_without_cache_bytes) for s in samples]
        ),
        disk_read_bytes=last.disk_read_total_bytes,
        disk_write_bytes=last.disk_write_total_bytes,
        network_in_bytes=last.network_in_total_bytes,
        network_out_bytes=last.network_out_total_bytes,
        waiting_share=share(_is_waiting),
        gpus=len(usage.gpus),
        gpu_utilisation_mean_percent=round(_mean(busy), 1) if busy else None,
        gpu_utilisation_peak_percent=max(value for _, value in busy) if busy else None,
        gpu_idle_share=_mean([(at, value < GPU_IDLE_PERCENT) for at, value in busy]) if busy else None,
        gpu_memory_peak_bytes=max(gpu_memory) if gpu_memory else None,
        gpu_memory_bytes=sum(size for _, size in usage.gpus) if usage.gpus else None,
        notes=tuple(usage.notes),
    )


def _no_more_than(cpus: float, cores: float) -> float:
    """A life of a fraction of a second is timed too coarsely: it seems to use more than there is."""
    return round(min(cores, cpus) if cpus else cores, 3)


def _mean(values: Sequence[tuple[float, float]]) -> float:
    """Of (time, value), each for the time since the one before: readings are closer at the start."""
    starts = [0.0, *(at for at, _ in values)]
    weighted = sum(value * (at - start) for start, (at, value) in zip(starts, values, strict=False))
    return round(weighted / values[-1][0], 3)


def _highest_rate(spans: Sequence[Interval]) -> float:
    """Over half a second at least: what a shorter reading says of cores is mostly its own jitter."""
    rates: list[float] = []
    core_seconds = length = 0.0
    for span in spans:
        core_seconds, length = core_seconds + span.cpu_cores * span.length_s, length + span.length_s
        if length >= 0.5:
            rates.append(core_seconds / length)
            core_seconds = length = 0.0
    return max(rates) if rates else core_seconds / length


def _is_waiting(span: Interval) -> bool:
    coming_in = (span.disk_read_bytes_per_s or 0) + (span.network_in_bytes_per_s or 0)
    return span.cpu_cores < WAITING_CORES and coming_in > WAITING_BYTES_PER_S
