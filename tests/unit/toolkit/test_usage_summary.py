"""Figures from readings, and sentences from figures."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import botocore.loaders
import pytest

from tests.unit.checkout import ROOT
from toolkit.measuring import instances
from toolkit.measuring.insights import insights
from toolkit.measuring.usage import HostUsage, Sample
from toolkit.measuring.usage_summary import Usage, count_cores, intervals, line_of, summarise

MB = 10**6


def host(
    cores: float, seconds: int = 60, *, memory: int = 400 * MB, name: str = "algo-1", **more: object
) -> HostUsage:
    """A host that is read once a second and does the same all the time."""
    samples = [
        Sample(float(second), cores * second, memory + 100 * MB, memory, **more)  # type: ignore[arg-type]
        for second in range(1, seconds + 1)
    ]
    return HostUsage(name, cpus=2.0, memory_limit_bytes=24_000 * MB, samples=samples)


def figures(usage: HostUsage) -> Usage:
    found = summarise(usage)
    assert found is not None
    return found


def said(*usages: HostUsage) -> str:
    return "\n".join(one.text for one in insights([figures(usage) for usage in usages]))


def test_mean_and_peak_are_core_seconds_over_time() -> None:
    usage = host(0.9)
    usage.samples += [Sample(61.0, 54.0 + 1.9, 0, 0), Sample(62.0, 54.0 + 1.9, 0, 0)]
    found = figures(usage)
    assert found.cpu_mean_cores == pytest.approx(55.9 / 62, abs=0.001)
    assert found.cpu_peak_cores == pytest.approx(1.9)
    assert (found.time_s, found.samples) == (62.0, 62)


def test_a_mean_weighs_each_reading_by_its_time() -> None:
    dense = [Sample(second / 10, 0.0, 0, 100 * MB) for second in range(1, 11)]
    assert figures(
        HostUsage("algo-1", cpus=1, samples=[*dense, Sample(11.0, 0.0, 0, 200 * MB)])
    ).memory_mean_bytes == pytest.approx((1 * 100 * MB + 10 * 200 * MB) / 11, rel=0.001)


def test_readings_close_together_make_no_spike() -> None:
    samples = [Sample(0.02, 0.06), Sample(0.12, 0.12), Sample(0.13, 0.2)]
    rates = [(span.start_s, span.end_s, round(span.cpu_cores, 3)) for span in intervals(samples)]
    assert rates[0] == (0.0, 0.12, 1.0)
    assert rates[-1][1] == 0.13


def test_a_job_without_a_reading_has_no_figures() -> None:
    assert summarise(HostUsage("algo-1")) is None
    assert insights([]) == []


def test_counters_that_are_missing_stay_missing() -> None:
    found = figures(host(1.0))
    assert (found.disk_read_bytes, found.network_in_bytes, found.gpu_utilisation_mean_percent) == (
        None,
        None,
        None,
    )
    assert figures(host(1.0, disk_read_total_bytes=5)).disk_read_bytes == 5


def test_the_line_of_a_job_names_what_it_used() -> None:
    line = figures(host(0.9, disk_read_total_bytes=12 * MB)).line()
    assert line == "CPU 0.9 of 2 cores, memory 400.0 MB at most, disk 12.0 MB read, 0 bytes written"
    assert count_cores(1) == "1 core"


def test_the_line_of_several_hosts_is_one() -> None:
    hosts = [figures(host(0.9)), figures(host(0.5, name="algo-2", memory=700 * MB))]
    assert line_of(hosts) == "2 hosts: CPU 1.4 cores together, memory 700.0 MB at most on one"


def test_a_job_that_was_over_at_once_used_no_more_cores_than_there_are() -> None:
    short = figures(HostUsage("algo-1", cpus=2.0, samples=[Sample(0.2, 0.6, MB, MB)]))
    assert (short.cpu_mean_cores, short.cpu_peak_cores) == (2.0, 2.0)
    assert line_of([short]) == ""


def test_half_idle_cores_are_called_that() -> None:
    assert "CPU: 0.9 of 2 cores on average, 0.9 at most: more than half idle." in said(host(0.9))


def test_a_crowded_machine_is_told_instead_of_idle_cores() -> None:
    text = said(replace(host(0.9), machine_busy_share=0.97))
    assert "while this machine was 97% busy: other programs took the rest." in text
    assert "idle" not in text
    assert "smallest common instance" not in text
    assert "idle" in said(replace(host(0.9), machine_busy_share=0.5))


def test_cores_that_are_busy_all_the_time_ask_for_more() -> None:
    assert "100% of the time all of them. More vCPU may make it faster." in said(host(1.99))


def test_memory_is_given_with_and_without_cache() -> None:
    assert "Memory peaks at 400.0 MB of 24.0 GB (500.0 MB with page cache)." in said(host(1.5))


def test_memory_at_its_limit_is_a_warning() -> None:
    full = replace(host(1.0), memory_limit_bytes=410 * MB)
    assert "Memory was at its limit of 410.0 MB 100% of the time" in said(full)


def test_waiting_for_data_is_seen_in_idle_cores_while_bytes_come_in() -> None:
    usage = host(0.1)
    usage.samples = [replace(s, disk_read_total_bytes=int(s.time_s * 50 * MB)) for s in usage.samples]
    assert "100% of the time it waited for data." in said(usage)
    assert "waited for data" not in said(host(0.1))


def test_an_idle_gpu_is_called_that_and_the_advice_has_none() -> None:
    usage = replace(
        host(1.0, gpu_utilisation_percent=3.0, gpu_memory_bytes=10**9), gpus=(("T4", 16 * 10**9),)
    )
    assert "GPU: 3% busy on average, idle 100% of the time" in said(usage)
    assert "ml.m5.large" in said(usage)


def test_a_busy_gpu_leads_to_an_instance_with_one() -> None:
    usage = replace(
        host(1.0, gpu_utilisation_percent=90.0, gpu_memory_bytes=20 * 2**30), gpus=(("A10G", 24 * 2**30),)
    )
    assert "ml.g5.xlarge" in said(usage)


def test_a_short_job_gets_no_advice_on_its_size() -> None:
    text = said(host(1.0, seconds=3))
    assert "too little to judge its size by" in text
    assert "smallest common instance" not in text


def test_the_advice_fits_the_host_that_does_most() -> None:
    text = said(
        host(0.2, name="algo-1"), host(1.9, name="algo-2"), host(0.2, memory=9_000 * MB, name="algo-3")
    )
    assert "3 hosts. What follows is of algo-2, the busiest." in text
    assert "Uneven: algo-1 used 0.2 cores on average, algo-2 1.9." in text
    assert "ml.r5.large (2 vCPU, 16 GiB)" in text  # the memory of algo-3


def test_every_sentence_has_its_rule() -> None:
    assert all(one.rule for one in insights([figures(host(0.1)), figures(host(1.9))]))


@pytest.mark.parametrize(
    ("cores", "gib", "name"),
    [
        (0.5, 1, "ml.m5.large"),
        (2.04, 1, "ml.m5.large"),
        (3.2, 1, "ml.c5.xlarge"),
        (1, 10, "ml.r5.large"),
        (90, 700, None),
    ],
)
def test_the_smallest_instance_has_the_cores_and_a_quarter_more_memory(
    cores: float, gib: float, name: str | None
) -> None:
    found = instances.smallest(cores, gib * instances.GIB)
    assert (found.name if found else None) == name


def test_every_instance_is_one_that_the_api_trains_on() -> None:
    service = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")
    known = set(service["shapes"]["TrainingInstanceType"]["enum"])
    assert [one.name for one in instances.instances() if one.name not in known] == []


def test_the_table_of_instances_has_a_date() -> None:
    table = tomllib.loads((ROOT / "toolkit" / "data" / "instances.toml").read_text())
    assert table["as_of"] >= "2026-11"
