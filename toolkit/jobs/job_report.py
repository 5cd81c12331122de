"""report.html of a training job: what it used over time, its metrics, and what that says of the instance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from toolkit.pages import charts, page
from toolkit.artifacts import readable_size
from toolkit.measuring.insights import insights
from toolkit.jobs.job_log import find_metrics, unstamped
from toolkit.measuring.usage import HostUsage
from toolkit.measuring.usage_summary import Interval, Usage, count_cores, intervals, summarise

MOST_METRIC_PLOTS = 12
MOST_METRICS = 60
FEWEST_POINTS = 3  # of a plot; a line between two points says no more than a row of a table


@dataclass
class MetricSeries:
    """Metrics as they come in the log: name -> (seconds since the start, value).

    Args:
        definitions: name -> regular expression, as for `toolkit.jobs.job_log.Metrics`.
    """

    definitions: Mapping[str, str] = field(default_factory=dict)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, seconds: float, line: str) -> None:
        """Take what metrics stand in the line."""
        for name, value in find_metrics([unstamped(line)], self.definitions).items():
            self.series.setdefault(name, []).append((seconds, value))


@dataclass(frozen=True)
class JobFacts:
    """What the page says of a job beside its usage.

    Attributes:
        name: of the job.
        status: `Completed`, `Failed` or `Stopped`.
        failure_reason: None unless it failed.
        duration_s: from the first container's start to the last one's end.
        details: name -> text, such as image and exit code.
        hyperparameters: as the job was given them.
    """

    name: str
    status: str
    failure_reason: str | None
    duration_s: float
    details: Mapping[str, str]
    hyperparameters: Mapping[str, str]


def write_report(
    path: Path, facts: JobFacts, hosts: Sequence[HostUsage], metrics: Mapping[str, charts.Points]
) -> None:
    """Write the page.

    Args:
        path: the file.
        facts: of the job.
        hosts: what each used; without readings where a container ended too soon.
        metrics: name -> (seconds since the start, value).
    """
    usages = [usage for host in hosts if (usage := summarise(host))]
    time = charts.time_axis(max([usage.time_s for usage in usages], default=facts.duration_s))
    notes = dict.fromkeys(f"{host.host}: {note}" for host in hosts for note in host.notes)
    page.write(
        path,
        facts.name,
        (
            page.muted("Training job on this machine. Usage was sampled outside the container."),
            page.facts(_headline(facts, usages)),
            page.failure(facts.failure_reason),
            page.insights(
                "Is the instance the right size?", [(one.text, one.rule) for one in insights(usages)]
            ),
            page.figures("Usage over time", dict(_usage_plots(hosts, time))),
            *(page.muted(note) for note in notes),
            page.figures("Metrics over time", dict(_metric_plots(metrics, time))),
            page.table(
                "Metrics in the log, latest first",
                ("name", "first value", "last value", "values"),
                list(_metric_rows(metrics)),
                most=12,
            ),
            page.table(
                "Hyperparameters",
                ("name", "value"),
                [list(pair) for pair in facts.hyperparameters.items()],
                2,
            ),
            page.table("Job", (), [list(pair) for pair in facts.details.items()], 2),
        ),
    )


def _headline(facts: JobFacts, usages: Sequence[Usage]) -> dict[str, str]:
    values = {"status": facts.status, "duration": readable_duration(facts.duration_s)}
    if usages:
        cores = sum(usage.cpu_mean_cores for usage in usages)
        busy_cores = (
            f"of {count_cores(usages[0].cpus)} busy on average"
            if len(usages) == 1
            else f"cores busy on average, {len(usages)} hosts together"
        )
        values[busy_cores] = f"{cores:.1f}"
        highest = max(usage.memory_peak_bytes for usage in usages)
        values["memory at most" + (", one host" if len(usages) > 1 else "")] = readable_size(highest)
        busy = [one.gpu_utilisation_mean_percent for one in usages]
        if busy and busy[0] is not None:
            values["GPU busy on average"] = f"{busy[0]:.0f}%"
    return values


def readable_duration(seconds: float) -> str:
    """`0.8 s`, `4 min 12 s`, `3 h 5 min`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _usage_plots(hosts: Sequence[HostUsage], time: charts.Axis) -> Iterator[tuple[str, str]]:
    sampled = [host for host in hosts if host.samples]
    if not sampled:
        return
    spans = {host.host: intervals(host.samples) for host in sampled}
    cores = {
        # The first readings are so close that their jitter seems more than all cores.
        host.host: [(at, min(used, host.cpus or used)) for at, used in _steps(spans[host.host])]
        for host in sampled
        if spans[host.host]
    }
    yield (
        f"Cores busy, of {sampled[0].cpus:g}" + (" a host" if len(sampled) > 1 else ""),
        charts.lines(cores, time, charts.Axis("cores"), up_to=_ceiling(sampled[0].cpus, cores)),
    )
    yield _memory_plot(sampled, time)
    for title, rates in (
        ("Disk", _rates(spans, {"read": "disk_read_bytes_per_s", "written": "disk_write_bytes_per_s"})),
        ("Network", _rates(spans, {"in": "network_in_bytes_per_s", "out": "network_out_bytes_per_s"})),
    ):
        highest = max((rate for points in rates.values() for _, rate in points), default=0.0)
        if highest >= 20_000:  # below, it is the noise of an idle interface
            axis = charts.bytes_axis(highest, "/s")
            yield f"{title}, {axis.title}", charts.lines(rates, time, axis)
    yield from _gpu_plots(sampled[0], time)


def _steps(found: Sequence[Interval]) -> list[tuple[float, float]]:
    return [(0.0, found[0].cpu_cores), *((span.end_s, span.cpu_cores) for span in found)]


def _ceiling(cpus: float, cores: Mapping[str, charts.Points]) -> float:
    """All cores, so that idle ones are seen; 0 where that would leave a line at the bottom."""
    highest = max((value for points in cores.values() for _, value in points), default=0.0)
    return cpus if cpus <= 4 * highest else 0.0


def _memory_plot(hosts: Sequence[HostUsage], time: charts.Axis) -> tuple[str, str]:
    series = {
        "in use" if len(hosts) == 1 else host.host: [
            (s.time_s, float(s.memory_without_cache_bytes)) for s in host.samples
        ]
        for host in hosts
    }
    if len(hosts) == 1:
        series["with page cache"] = [(s.time_s, float(s.memory_bytes)) for s in hosts[0].samples]
    highest = max(value for points in series.values() for _, value in points)
    axis = charts.bytes_axis(highest)
    return f"Memory, {axis.title}", charts.lines(series, time, axis)


def _rates(spans: Mapping[str, Sequence[Interval]], names: Mapping[str, str]) -> dict[str, charts.Points]:
    found: dict[str, charts.Points] = {}
    for host, intervals_ in spans.items():
        for name, attribute in names.items():
            points = [(s.end_s, rate) for s in intervals_ if (rate := getattr(s, attribute)) is not None]
            if points:
                found[name if len(spans) == 1 else f"{host} {name}"] = points
    return found


def _gpu_plots(host: HostUsage, time: charts.Axis) -> Iterator[tuple[str, str]]:
    busy = [
        (s.time_s, s.gpu_utilisation_percent) for s in host.samples if s.gpu_utilisation_percent is not None
    ]
    memory = [(s.time_s, float(s.gpu_memory_bytes)) for s in host.samples if s.gpu_memory_bytes is not None]
    if busy:
        yield "GPU busy, %", charts.lines({"busy": busy}, time, charts.Axis("%"))
    if memory:
        axis = charts.bytes_axis(max(value for _, value in memory))
        yield f"GPU memory, {axis.title}", charts.lines({"in use": memory}, time, axis)


def _metric_plots(metrics: Mapping[str, charts.Points], time: charts.Axis) -> Iterable[tuple[str, str]]:
    """Those that came often enough; the table has all."""
    moving = [
        (name, points)
        for name, points in metrics.items()
        if len(points) >= FEWEST_POINTS and not _counts(points)
    ]
    for name, points in moving[:MOST_METRIC_PLOTS]:
        yield name, charts.lines({name: points}, time, charts.Axis(""), from_zero=False)


def _counts(points: charts.Points) -> bool:
    """An epoch's or a round's number, which says nothing over time; each host may print it."""
    return {after[1] - before[1] for before, after in pairwise(points)} in ({1}, {0, 1})


def _metric_rows(metrics: Mapping[str, charts.Points]) -> Iterable[list[str]]:
    """The latest first: what a job says at its end is its result."""
    latest = sorted(metrics.items(), key=lambda metric: metric[1][-1][0])[::-1]
    for name, points in latest[:MOST_METRICS]:
        first = f"{points[0][1]:.6g}" if len(points) > 1 else ""
        yield [name, first, f"{points[-1][1]:.6g}", str(len(points))]
    if len(metrics) > MOST_METRICS:
        yield [f"and {len(metrics) - MOST_METRICS} more, in the log", "", "", ""]
