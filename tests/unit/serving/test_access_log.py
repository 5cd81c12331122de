"""The budget of the log: what has a line, and what is only counted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from opt_ml.serving.access_log import AccessLog
from opt_ml.serving.line_writer import LineWriter
from opt_ml.serving.log_policy import LogPolicy, Which


def logged(path: Path, which: Which, statuses: list[int]) -> list[dict[str, Any]]:
    """The lines of one request for each of `statuses`."""
    with path.open("wb") as file:
        log = AccessLog(LineWriter(file.fileno()), LogPolicy(which))
        for number, status in enumerate(statuses):
            log.one("POST", "/invocations", status, number / 1000, 3, None)
        log.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_errors_have_a_budget_of_their_own_and_the_last_line_says_what_was_left_out(tmp_path):
    lines = logged(tmp_path / "log", "budget", [200] * 1000 + [400] * 50 + [503] * 150)
    written = [line["status"] for line in lines if "status" in line]
    assert [written.count(status) for status in (200, 400, 503)] == [100, 50, 50]
    assert lines[-1]["statuses"] == {"200": 900, "503": 100}
    assert lines[-1]["requests"] == 1000
    assert lines[-1]["p50_ms"] == pytest.approx(600, rel=0.05)  # of 0.100 to 0.999 s and 1.100 to 1.199 s
    assert lines[-1]["p99_ms"] == pytest.approx(1190, rel=0.05)
    ids = [line["request_id"] for line in lines[:-1]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("which", "count"), [("all", 600), ("errors", 100), ("off", 0)])
def test_a_policy_without_successes_says_nothing_of_them(tmp_path, which, count):
    lines = logged(tmp_path / "log", which, [200] * 500 + [500] * 100)
    assert len(lines) == count
    assert {line["level"] for line in lines} <= {"info", "error"}


def test_lines_reach_a_pipe_in_whole_pieces_that_are_written_at_once(tmp_path):
    reader, writer = os.pipe2(os.O_DIRECT)  # each write is a packet
    lines = LineWriter(writer)
    for number in range(200):
        lines.write(f"{number}" * 50 + "\n")
    lines.close()
    os.close(writer)
    packets = list(iter(lambda: os.read(reader, 65536), b""))
    os.close(reader)
    assert all(packet.endswith(b"\n") and len(packet) <= 4096 for packet in packets)
    assert len(b"".join(packets).splitlines()) == 200


@pytest.mark.contract("HOST-60")
def test_a_line_stays_short_whatever_the_client_calls_its_request(tmp_path):
    with (tmp_path / "log").open("wb") as file:
        log = AccessLog(LineWriter(file.fileno()), LogPolicy())
        log.one("POST", "/" + 9000 * "p", 200, 0.0, 3, 9000 * "i")
        log.close()
    assert (tmp_path / "log").stat().st_size < 500
