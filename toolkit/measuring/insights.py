"""What the figures of a job mean, in plain sentences: is the instance the right size? Pure.

Each sentence comes from one rule, and the rule stands beside it in the report: what SageMaker Debugger's
profiler report does for a job of the platform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from toolkit.artifacts import readable_size
from toolkit.measuring.instances import smallest
from toolkit.measuring.usage_summary import (
    GPU_IDLE_PERCENT,
    WAITING_BYTES_PER_S,
    WAITING_CORES,
    Usage,
    count_cores,
)

FEW_SAMPLES = 20
SHORT_S = 5.0
CROWDED = 0.9  # of the machine's cores
WITHOUT_RIVALS = 0.8  # of its cores a job has that needs them all and is alone


@dataclass(frozen=True)
class Insight:
    """One sentence about a job, and the rule that it follows from."""

    text: str
    rule: str


def insights(usages: Sequence[Usage]) -> list[Insight]:
    """What to know about the size of the instance, most important first.

    All hosts of a group are of one size, so it must fit the one that does most.
    """
    if not usages:
        return []
    busiest = max(usages, key=lambda usage: usage.cpu_mean_cores)
    if len(usages) == 1:
        return list(_of_host(busiest))
    fullest = max(usages, key=lambda usage: usage.memory_peak_bytes)
    least = min(usages, key=lambda usage: usage.cpu_mean_cores)
    found = [
        Insight(
            f"{len(usages)} hosts. What follows is of {busiest.host}, the busiest.", "highest mean of CPU"
        )
    ]
    if least.cpu_mean_cores < 0.5 * busiest.cpu_mean_cores:
        found.append(
            Insight(
                f"Uneven: {least.host} used {least.cpu_mean_cores:.1f} cores on average, {busiest.host} "
                f"{busiest.cpu_mean_cores:.1f}. Fewer hosts, or data split evenly, may do.",
                "a host that computes less than half of what the busiest does",
            )
        )
    if fullest is not busiest:
        busiest = replace(
            busiest,
            memory_peak_bytes=fullest.memory_peak_bytes,
            memory_peak_with_cache_bytes=fullest.memory_peak_with_cache_bytes,
            memory_full_share=fullest.memory_full_share,
        )
    return found + list(_of_host(busiest))


def _of_host(usage: Usage) -> Iterator[Insight]:
    short = usage.time_s < SHORT_S or usage.samples < FEW_SAMPLES
    if short:
        readings = "1 reading" if usage.samples == 1 else f"{usage.samples} readings"
        yield Insight(
            f"The job was seen for {usage.time_s:.1f} s, in {readings}: too little to judge "
            "its size by. Try it with data of the real size.",
            f"fewer than {FEW_SAMPLES} readings or {SHORT_S:g} s",
        )
    yield _about_cpu(usage)
    yield from _about_memory(usage)
    if usage.waiting_share > 0.3:
        yield Insight(
            f"{usage.waiting_share:.0%} of the time it waited for data. Fast File or Pipe mode starts "
            "sooner, and reading in parallel keeps the processor busy.",
            f"under {WAITING_CORES:g} cores busy while more than {WAITING_BYTES_PER_S / 1e6:g} MB/s come in",
        )
    yield from _about_gpu(usage)
    if not (short or _is_crowded_out(usage)):
        yield from _about_size(usage)


def _is_crowded_out(usage: Usage) -> bool:
    """Other programs had the cores that the job may have wanted."""
    return (usage.machine_busy_share or 0.0) > CROWDED and usage.cpu_mean_cores < WITHOUT_RIVALS * usage.cpus


def _about_cpu(usage: Usage) -> Insight:
    mean, peak = f"{usage.cpu_mean_cores:.1f}", f"{usage.cpu_peak_cores:.1f}"
    used = f"CPU: {mean} of {count_cores(usage.cpus)} on average, {peak} at most"
    rule = "mean core seconds per second, beside the cores the container may use"
    share = usage.cpu_mean_cores / usage.cpus if usage.cpus else 0.0
    if _is_crowded_out(usage):
        return Insight(
            f"{used}, while this machine was {usage.machine_busy_share:.0%} busy: other programs took the "
            "rest. Measure again on a quiet machine.",
            f"machine above {CROWDED:.0%} busy, the job below {WITHOUT_RIVALS:.0%} of its cores",
        )
    if usage.cpu_full_share > 0.5:
        return Insight(
            f"{used}; {usage.cpu_full_share:.0%} of the time all of them. More vCPU may make it faster.",
            "more than half of the time above 95% of the cores",
        )
    if share < 0.5:
        cure = "A smaller instance may do, or more threads." if usage.cpus > 1 else "It waited."
        return Insight(f"{used}: more than half idle. {cure}", f"{rule}: below half")
    return Insight(f"{used}.", rule)


def _about_memory(usage: Usage) -> Iterator[Insight]:
    peak, limit = usage.memory_peak_bytes, usage.memory_limit_bytes
    rule = "highest reading without page cache, beside the limit of the container or the machine's memory"
    of = f" of {readable_size(limit)}" if limit else ""
    if usage.memory_full_share:
        yield Insight(
            f"Memory was at its limit of {readable_size(limit)} {usage.memory_full_share:.0%} of the time: "
            "the kernel may kill the job. Give it more.",
            "readings above 95% of the limit",
        )
        return
    cache = usage.memory_peak_with_cache_bytes
    with_cache = f" ({readable_size(cache)} with page cache)" if cache > 1.2 * peak else ""
    yield Insight(f"Memory peaks at {readable_size(peak)}{of}{with_cache}.", rule)


def _about_gpu(usage: Usage) -> Iterator[Insight]:
    if usage.gpu_idle_share is None or usage.gpu_utilisation_mean_percent is None:
        return
    text = f"GPU: {usage.gpu_utilisation_mean_percent:.0f}% busy on average"
    rule = "nvidia-smi once a second, the whole device"
    if usage.gpu_idle_share > 0.5:
        yield Insight(
            f"{text}, idle {usage.gpu_idle_share:.0%} of the time: an instance without GPU may do, or the "
            "loading of data holds it up.",
            f"{rule}: under {GPU_IDLE_PERCENT:g}% for more than half of the time",
        )
    else:
        yield Insight(
            f"{text}; {readable_size(usage.gpu_memory_peak_bytes or 0)} of its "
            f"{readable_size(usage.gpu_memory_bytes or 0)} at most.",
            rule,
        )


def _about_size(usage: Usage) -> Iterator[Insight]:
    gpu_busy = usage.gpu_idle_share is not None and usage.gpu_idle_share <= 0.5
    gpu_memory = usage.gpu_memory_peak_bytes or 0 if gpu_busy else 0
    one = smallest(usage.cpu_peak_cores, usage.memory_peak_bytes, gpu_memory)
    if one:
        yield Insight(
            f"The smallest common instance that holds what it used here: {one.describe()}.",
            "vCPU for the busiest half second (a vCPU is one hardware thread, as a core is here), memory for "
            "its peak and a quarter more; sizes from toolkit/data/instances.toml",
        )
