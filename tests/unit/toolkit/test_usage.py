"""Readings of a container, as the engine gives them, and what becomes of them."""

from __future__ import annotations

import csv
import threading
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from toolkit.measuring.usage import (
    MOST_SAMPLES,
    HostUsage,
    Recorder,
    Sample,
    _busy_share,
    read,
    thinned,
    write_csv,
)

# As Docker 26 answers on cgroup v1, and Docker 28 on cgroup v2; shortened to what is read.
V1 = {
    "cpu_stats": {
        "cpu_usage": {"total_usage": 2_500_000_000},
        "online_cpus": 2,
        "throttling_data": {"periods": 10, "throttled_periods": 4, "throttled_time": 1},
    },
    "memory_stats": {
        "usage": 100_000_000,
        "max_usage": 150_000_000,
        "stats": {
            "active_file": 1,
            "inactive_file": 1,
            "total_active_file": 10_000_000,
            "total_inactive_file": 20_000_000,
        },
        "limit": 4_000_000_000,
    },
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 4096},
            {"major": 8, "minor": 16, "op": "Read", "value": 1000},
            {"major": 8, "minor": 0, "op": "Write", "value": 512},
            {"major": 8, "minor": 0, "op": "Total", "value": 5608},
        ]
    },
    "networks": {"eth0": {"rx_bytes": 7, "tx_bytes": 3}, "eth1": {"rx_bytes": 10, "tx_bytes": 0}},
}
V2 = {
    "cpu_stats": {"cpu_usage": {"total_usage": 500_000_000}, "online_cpus": 8, "throttling_data": {}},
    "memory_stats": {
        "usage": 50_000_000,
        "stats": {
            "anon": 30_000_000,
            "file": 20_000_000,
            "active_file": 4_000_000,
            "inactive_file": 6_000_000,
        },
        "limit": 8_000_000_000,
    },
    "blkio_stats": {"io_service_bytes_recursive": [{"major": 259, "minor": 0, "op": "read", "value": 9}]},
}
ENDED: dict[str, Any] = {"memory_stats": {}, "cpu_stats": {"cpu_usage": {"total_usage": 0}}}


class Scripted:
    """Answers one after another."""

    def __init__(self, *answers: Mapping[str, Any] | Exception) -> None:
        self._answers = list(answers)
        self.asked = threading.Event()

    def stats(self) -> Mapping[str, Any]:
        answer = self._answers.pop(0)
        if not self._answers or answer is ENDED:
            self.asked.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


def recorded(*answers: Mapping[str, Any] | Exception, cpus: float | None = None) -> HostUsage:
    """What a recorder made of the answers, the last of which ends the sampling."""
    recorder, container = Recorder(cpus), Scripted(*answers)
    with recorder.watch("algo-1", container):
        assert container.asked.wait(10)
    (usage,) = recorder.hosts
    return usage


def test_a_reading_of_cgroup_v1_counts_the_whole_tree_and_all_devices() -> None:
    assert read(V1, 1.5) == Sample(1.5, 2.5, 100_000_000, 70_000_000, 5096, 512, 17, 3)


def test_a_reading_of_cgroup_v2_has_no_totals_and_may_lack_network_and_writes() -> None:
    assert read(V2, 2.0) == Sample(2.0, 0.5, 50_000_000, 40_000_000, 9, None, None, None)


def test_disk_is_unknown_where_the_engine_counts_nothing() -> None:
    usage = recorded({**V1, "blkio_stats": {"io_service_bytes_recursive": None}}, ENDED)
    assert usage.samples[0].disk_read_total_bytes is None
    assert any(note.startswith("Disk: the engine has counted nothing") for note in usage.notes)


def test_limits_and_throttling_are_taken_from_the_readings() -> None:
    usage = recorded(V1, ENDED)
    assert (usage.cpus, usage.memory_limit_bytes) == (2.0, 4_000_000_000)
    assert (usage.memory_peak_bytes, usage.throttled_share) == (150_000_000, 0.4)
    assert recorded(V1, ENDED, cpus=0.5).cpus == 0.5


def test_a_host_that_starts_again_goes_on_from_its_counters_and_keeps_its_peak() -> None:
    later = {**V1, "memory_stats": {**V1["memory_stats"], "max_usage": 1}}
    without_disk = {**later, "blkio_stats": {"io_service_bytes_recursive": None}}
    recorder = Recorder(None)
    for answer in (V1, without_disk):
        container = Scripted(answer, ENDED)
        with recorder.watch("algo-1", container):
            assert container.asked.wait(10)
    (usage,) = recorder.hosts
    assert [sample.cpu_total_s for sample in usage.samples] == [2.5, 5.0]
    assert usage.samples[-1].disk_read_total_bytes == 5096
    assert usage.memory_peak_bytes == 150_000_000


def test_sampling_ends_with_the_container_and_not_with_a_zero() -> None:
    usage = recorded(V1, ENDED, V2)
    assert [sample.cpu_total_s for sample in usage.samples] == [2.5]


def test_an_engine_that_breaks_is_a_note_and_no_error() -> None:
    usage = recorded(V1, ConnectionError("engine gone\nand more"))
    assert len(usage.samples) == 1
    assert "Sampling ended early: engine gone" in usage.notes


def test_an_answer_of_another_form_is_a_note_and_no_error() -> None:
    usage = recorded({"memory_stats": {"usage": 1}})
    assert usage.samples == []
    assert any(note.startswith("Sampling ended early") for note in usage.notes)


def test_a_job_that_was_never_read_says_so() -> None:
    assert "The job ended before the first reading." in recorded(ENDED).notes


def test_a_machine_whose_ticks_cannot_be_read_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.measuring.usage._PROC_STAT", Path("/no/such/file"))
    assert recorded(V1, ENDED).machine_busy_share is None
    assert _busy_share((100, 1000), (190, 1100)) == 0.9
    assert _busy_share((100, 1000), (100, 1000)) is None


def test_what_the_job_itself_raises_passes_through() -> None:
    with pytest.raises(BrokenPipeError), Recorder().watch("algo-1", Scripted(ENDED)):
        raise BrokenPipeError


def test_hosts_come_in_the_order_of_their_numbers() -> None:
    recorder = Recorder()
    for number in (10, 2, 1):
        with recorder.watch(f"algo-{number}", Scripted(ENDED)):
            pass
    assert [usage.host for usage in recorder.hosts] == ["algo-1", "algo-2", "algo-10"]


def test_a_long_job_keeps_its_peaks_and_its_totals_in_half_the_samples() -> None:
    samples = [Sample(float(n), n / 2, 10 + n, 5) for n in range(1, MOST_SAMPLES + 2)]
    samples[100] = Sample(101.0, 50.5, 9999, 8888)
    fewer = thinned(samples)
    assert len(fewer) == MOST_SAMPLES // 2 + 1
    assert fewer[-1] == samples[-1]
    assert max(sample.memory_bytes for sample in fewer) == 9999
    assert max(sample.memory_without_cache_bytes for sample in fewer) == 8888
    assert [sample.time_s for sample in fewer] == sorted(sample.time_s for sample in fewer)


def test_the_table_has_a_column_for_each_field_with_its_unit(tmp_path: Path) -> None:
    write_csv(tmp_path / "usage.csv", [HostUsage("algo-1", samples=[read(V2, 1.0)]), HostUsage("algo-2")])
    with (tmp_path / "usage.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row) == ["host", *(field.name for field in fields(Sample))]
    assert (row["host"], row["cpu_total_s"], row["network_in_total_bytes"]) == ("algo-1", "0.5", "")
