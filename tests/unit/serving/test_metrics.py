"""/metrics and /execution-parameters: for the platform, and harmless."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.serving.conftest import eventually
from tests.unit.serving.gated import begun, ready

SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9.e+-]+')


def samples(server) -> dict[str, float]:
    reply = server.request("GET", "/metrics")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = reply.body.decode().splitlines()
    assert all(line.startswith("# TYPE ") or SAMPLE.fullmatch(line) for line in lines)
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


@pytest.mark.contract("HOST-81", "HOST-82")
def test_metrics_count_requests_by_status_and_time(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    assert samples(server)["request_seconds_count"] == 0
    assert [server.post(body).status for body in (b"1", b"2", b"exit")] == [200, 200, 503]
    eventually(lambda: samples(server)["workers_ready"] == 1, "there is another worker")
    found = samples(server)
    assert (found['requests_total{status="200"}'], found['requests_total{status="503"}']) == (2, 1)
    assert found["request_seconds_count"] == found['request_seconds_bucket{le="+Inf"}'] == 3
    assert found["request_seconds_sum"] > 0
    assert (found["workers_ready"], found["worker_deaths_total"], found["predictions_total"]) == (1, 1, 2)
    assert "/metrics" not in server.log


@pytest.mark.contract("HOST-81")
def test_metrics_answer_while_every_worker_is_busy_and_say_who_waits(start, tmp_path):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=1)
    with ThreadPoolExecutor() as clients:
        replies = [clients.submit(server.post, b"wait") for _ in range(3)]
        eventually(lambda: begun(tmp_path), "the worker is busy")
        eventually(lambda: samples(server)["requests_waiting"] == 2, "two wait")
        assert samples(server)["requests_running"] == 1
        (tmp_path / "go").touch()
        assert [reply.result().status for reply in replies] == [200] * 3


@pytest.mark.contract("BATCH-03", "BATCH-06")
@pytest.mark.parametrize(
    ("workers", "limit", "payload"), [(1, 25, 6), (2, 100, 6), (3, 4, 4)], ids=["one", "two", "small bodies"]
)
def test_execution_parameters_stay_inside_what_batch_transform_allows(
    start, tmp_path, workers, limit, payload
):
    server = ready(start, tmp_path, SAGEMAKER_MODEL_SERVER_WORKERS=workers, SAGEMAKER_MAX_PAYLOAD_IN_MB=limit)
    reply = server.request("GET", "/execution-parameters")
    assert reply.status == 200
    expected = {
        "MaxConcurrentTransforms": workers,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": payload,
    }
    assert reply.json == expected
