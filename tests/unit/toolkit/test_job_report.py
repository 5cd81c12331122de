"""The page of a training job."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from toolkit.jobs.job_report import JobFacts, MetricSeries, readable_duration, write_report
from toolkit.measuring.usage import HostUsage, Sample
from toolkit.pages import charts

FACTS = JobFacts("a-job", "Completed", None, 12.0, {"image": "opt-ml/x:latest"}, {"depth": "4"})
HOST = HostUsage(
    "algo-1",
    cpus=2.0,
    memory_limit_bytes=10**10,
    samples=[Sample(second / 2, second / 3, 2 * 10**8, 10**8) for second in range(1, 60)],
)


def page(tmp_path: Path, facts: JobFacts = FACTS, *hosts: HostUsage, **metrics: charts.Points) -> str:
    write_report(tmp_path / "report.html", facts, hosts, metrics)
    return (tmp_path / "report.html").read_text()


def headings(text: str) -> list[str]:
    return re.findall(r"<h[23]>(.*?)</h[23]>", text)


class Balanced(HTMLParser):
    """Fails at a tag that is closed in another order than it was opened."""

    VOID = frozenset({"meta", "br", "path", "rect", "circle", "line"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_needs_no_script_and_no_network(tmp_path: Path) -> None:
    text = page(tmp_path, FACTS, HOST, rmse=[(1.0, 5.0), (2.0, 4.0)])
    assert "<script" not in text
    assert re.findall(r"(?:src|href)=\"(?!#)", text) == []
    assert re.sub(r"http://www\.w3\.org\S*", "", text).count("://") == 0
    Balanced().feed(text)


def test_usage_metrics_and_advice_have_their_sections(tmp_path: Path) -> None:
    text = page(tmp_path, FACTS, HOST, rmse=[(1.0, 5.0), (2.0, 4.0), (3.0, 3.5)])
    assert headings(text) == [
        "Is the instance the right size?",
        "Usage over time",
        "Cores busy, of 2",
        "Memory, MB",
        "Metrics over time",
        "rmse",
        "Metrics in the log, latest first",
        "Hyperparameters",
        "Job",
    ]


def test_a_job_that_ended_at_once_has_no_empty_plot(tmp_path: Path) -> None:
    text = page(tmp_path, FACTS, HostUsage("algo-1", notes=["The job ended before the first reading."]))
    assert "<svg" not in text
    assert "algo-1: The job ended before the first reading." in text


def test_a_metric_that_came_once_and_a_counter_have_no_plot(tmp_path: Path) -> None:
    epochs = [(1.0, 0.0), (2.0, 1.0), (3.0, 2.0)]
    of_two_hosts = [(float(n), float(n // 2)) for n in range(6)]
    text = page(tmp_path, FACTS, once=[(1.0, 5.0)], epoch=epochs, step=of_two_hosts)
    assert "Metrics over time" not in headings(text)
    assert '<td class="text">once</td><td></td><td>5</td><td>1</td>' in text


def test_two_values_make_no_plot_but_a_row_with_both(tmp_path: Path) -> None:
    text = page(tmp_path, FACTS, rmse=[(1.0, 57.9871), (2.0, 44.671)])
    assert "<svg" not in text
    assert '<td class="text">rmse</td><td>57.9871</td><td>44.671</td><td>2</td>' in text


def test_the_metrics_that_came_last_are_seen_and_the_others_folded(tmp_path: Path) -> None:
    text = page(tmp_path, FACTS, **{f"m{n:02d}": [(float(n), 1.0)] for n in range(40)})
    seen, folded = text.split("<details>")
    assert re.findall(r">(m\d\d)<", seen)[:2] == ["m39", "m38"]
    assert "<summary>28 more</summary>" in folded
    assert len(re.findall(r">(m\d\d)<", seen + folded)) == 40


def test_a_failure_reason_stands_on_the_page_as_text(tmp_path: Path) -> None:
    facts = JobFacts("a-job", "Failed", "line 3: <b>bad</b>", 1.0, {}, {"<i>": "</td>"})
    text = page(tmp_path, facts, HOST)
    assert "line 3: &lt;b&gt;bad&lt;/b&gt;" in text
    assert "<b>bad" not in text
    assert "&lt;/td&gt;" in text


def test_hosts_share_a_plot_and_are_told_apart(tmp_path: Path) -> None:
    second = HostUsage("algo-2", cpus=2.0, samples=HOST.samples)
    text = page(tmp_path, FACTS, HOST, second)
    assert "Cores busy, of 2 a host" in text
    assert "cores busy on average, 2 hosts together" in text
    assert ">algo-2</text>" in text


def test_the_plot_of_cores_ends_at_those_there_are(tmp_path: Path) -> None:
    samples = [
        Sample(0.1, 0.9, 10**8, 10**8),
        *(Sample(float(n), n * 1.9, 10**8, 10**8) for n in range(1, 9)),
    ]
    text = page(tmp_path, FACTS, HostUsage("algo-1", cpus=2.0, samples=samples))
    plot = text[text.index("Cores busy, of 2") :]
    below = plot[plot.index('class="axis y') : plot.index("Memory, ")]
    labels = re.findall(r"<text[^>]*>([0-9.]+)</text>", below.partition('class="axis x')[0])
    assert labels
    assert max(map(float, labels)) <= 2.1


def test_metrics_of_the_log_keep_their_time() -> None:
    metrics = MetricSeries()
    metrics.add(1.0, "12:00:00 algo-1  epoch=0; rmse:5.5;")
    metrics.add(2.5, "12:00:02 algo-1  epoch=1; rmse:4.5;")
    assert metrics.series == {"epoch": [(1.0, 0.0), (2.5, 1.0)], "rmse": [(1.0, 5.5), (2.5, 4.5)]}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.84, "0.8 s"), (252, "4 min 12 s"), (11100, "3 h 5 min"), (59.96, "1 min 0 s")]
)
def test_a_duration_is_written_as_people_say_it(seconds: float, text: str) -> None:
    assert readable_duration(seconds) == text


@pytest.mark.parametrize("points", [[(0.0, 0.0)], [(1.0, 5.0), (1.0, 5.0)], [(0.0, -3.0), (1.0, 1e12)]])
def test_any_points_make_a_plot(points: charts.Points) -> None:
    for svg in (
        charts.lines({"a": points}, charts.Axis("s"), charts.Axis("")),
        charts.dots({"a": points}, charts.Axis("s"), charts.Axis("")),
        charts.dots_and_line({"a": points}, {"b": points}, charts.Axis("s"), charts.Axis("")),
    ):
        assert svg.startswith("<svg")
        assert "nan" not in svg.lower()


@pytest.mark.parametrize(
    "values", [(58.8, 58.7999, 58.7993), (12345.6, 12345.9, 12346.4), (1e-9, 1.1e-9), (0.999999, 0.999998)]
)
def test_no_two_labels_of_an_axis_are_alike(values: tuple[float, ...]) -> None:
    points = list(enumerate(values))
    svg = charts.lines({"a": points}, charts.Axis("s"), charts.Axis(""), from_zero=False)
    below = svg[svg.index('class="axis y') :]
    labels = re.findall(r"<text[^>]*>([^<]+)</text>", below)
    assert len(labels) > 2
    assert len(set(labels)) == len(labels)


def test_a_logarithmic_axis_is_labelled_with_round_numbers() -> None:
    points = [(0.01023, 1.0), (0.0443, 2.0), (0.1538, 3.0)]
    svg = charts.dots({"a": points}, charts.Axis(""), charts.Axis(""), logarithmic=True)
    below = svg[svg.index('class="axis x') :]
    assert re.findall(r"<text[^>]*>([^<]+)</text>", below)[:3] == ["0.02", "0.05", "0.1"]


def test_many_points_are_thinned_and_the_last_one_kept() -> None:
    points = [(float(n), float(n)) for n in range(10_000)]
    assert len(charts.lines({"a": points}, charts.Axis("s"), charts.Axis(""))) < 60_000
    assert charts._scaled(points, charts.Axis(""), charts.Axis(""))[-1] == points[-1]


@pytest.mark.parametrize("values", [(1e300, 1e300), (1.7e308, -1.7e308), (3.4e38, 1.0), (1e-320, 2e-320)])
def test_a_loss_that_has_diverged_makes_a_plot(values: tuple[float, float]) -> None:
    points = list(enumerate(values))
    text = charts.lines({"loss": points}, charts.Axis("s"), charts.Axis(""), from_zero=False)
    assert text.startswith("<svg")
