"""The parts of an endpoint that need no container: frames, limits, headers and logs."""

from __future__ import annotations

import io
import os
import signal
import threading
from http.client import IncompleteRead, RemoteDisconnected
from pathlib import Path

import pytest
from botocore.eventstream import EventStreamBuffer

from toolkit.errors import ToolkitError
from toolkit.hosting import event_stream
from toolkit.hosting.api_errors import ApiError, model_error
from toolkit.hosting.client import Call, EndpointClient
from toolkit.hosting.code_watch import CodeWatch
from toolkit.hosting.container_log import readable
from toolkit.hosting.fleet import ContainerDefinition, ports_of
from toolkit.hosting.invocation import NoAnswerError, read_invocation
from toolkit.hosting.limits import MB, REAL_TIME, Serverless
from toolkit.hosting.load import repeat
from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint
from toolkit.hosting.multi_model import LOADING_LIMIT
from toolkit.hosting.request_body import read_body
from toolkit.hosting.request_log import RequestLog, Served, latency_table, percentile
from toolkit.machine.container import Ending
from toolkit.serving.endpoint import START_LIMIT, STOP_GRACE, describe
from toolkit.serving.http_client import INVOCATION_LIMIT, Response
from toolkit.serving.model_server import PING_LIMIT


@pytest.mark.contract("HOST-65", "HOST-68")
def test_the_event_stream_is_what_botocore_reads_and_what_we_read() -> None:
    stream = event_stream.payload_part(b"\x00one") + event_stream.exception(
        "ModelStreamError", {"ErrorCode": "StreamBroken", "Message": "m"}
    )
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    theirs = [(dict(message.headers), message.payload) for message in buffer]
    assert theirs == list(event_stream.messages(io.BytesIO(stream)))
    assert theirs[0][1] == b"\x00one"
    assert theirs[1][0][":exception-type"] == "ModelStreamError"


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:-5] + b"x" + data[-4:]])
def test_a_spoiled_event_stream_is_refused(spoil) -> None:
    with pytest.raises(ValueError, match="event stream"):
        list(event_stream.messages(io.BytesIO(spoil(event_stream.payload_part(b"payload")))))


@pytest.mark.contract("HOST-54")
def test_at_most_2048_characters_of_an_error_reach_the_client() -> None:
    error = model_error("an-endpoint", "primary", 503, "x" * 3000)
    assert len(error.fields["OriginalMessage"]) == 2048
    assert error.message.startswith("Received server error (503) from primary")


@pytest.mark.contract("HOST-34", "HOST-56", "HOST-59", "HOST-60")
def test_only_headers_that_the_platform_hands_on_reach_the_container() -> None:
    given = {
        "content-type": "text/csv",
        "x-amzn-sagemaker-accept": "text/csv",
        "x-amzn-sagemaker-custom-attributes": "a=b",
        "x-amzn-sagemaker-inference-id": "id",
        "x-amzn-sagemaker-target-variant": "AllTraffic",
        "authorization": "AWS4-HMAC-SHA256",
        "x-of-mine": "1",
    }
    assert dict(read_invocation(given, b"").headers) == {
        "Content-Type": "text/csv",
        "Accept": "text/csv",
        "X-Amzn-SageMaker-Custom-Attributes": "a=b",
        "X-Amzn-SageMaker-Inference-Id": "id",
    }


@pytest.mark.contract("HOST-59", "HOST-60", "HOST-104")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amzn-sagemaker-custom-attributes", "a" * 1025),
        ("x-amzn-sagemaker-inference-id", "a" * 65),
        ("x-amzn-sagemaker-session-id", "-a"),
        ("x-amzn-sagemaker-target-container-hostname", "a_b"),
    ],
)
def test_a_header_that_breaks_the_apis_constraints_is_named(name, value) -> None:
    with pytest.raises(ApiError, match=name) as caught:
        read_invocation({name: value}, b"")
    assert caught.value.code == "ValidationError"


def test_a_body_is_read_with_a_length_or_chunked_up_to_the_limit() -> None:
    chunked = {"transfer-encoding": "chunked"}
    assert read_body(io.BytesIO(b"abcdef"), {"content-length": "3"}, 10) == b"abc"
    assert read_body(io.BytesIO(b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\n"), chunked, 10) == b"abcd"
    for headers, data in (
        ({"content-length": "11"}, b""),
        (chunked, b"9\r\n123456789\r\n9\r\n123456789\r\n0\r\n\r\n"),
    ):
        with pytest.raises(ApiError, match="exceeded 10 bytes"):
            read_body(io.BytesIO(data), headers, 10)
    for headers, data in (
        ({"content-length": "x"}, b""),
        (chunked, b"no\r\n"),
        ({"content-length": "5"}, b"abc"),
    ):
        with pytest.raises(ApiError) as caught:
            read_body(io.BytesIO(data), headers, 10)
        assert caught.value.status == 400


@pytest.mark.contract("HOST-90")
@pytest.mark.parametrize("memory", [0, 512, 1500, 7168])
def test_a_serverless_endpoint_has_1_to_6_gb(memory) -> None:
    with pytest.raises(ToolkitError, match=f"--serverless {memory}"):
        Serverless(memory)


@pytest.mark.contract("HOST-04", "HOST-40", "HOST-41", "HOST-50", "HOST-51", "HOST-66", "MME-16")
def test_a_real_time_endpoint_has_the_limits_of_the_platform() -> None:
    assert (START_LIMIT, PING_LIMIT, INVOCATION_LIMIT, STOP_GRACE) == (8 * 60, 2, 60, 30)
    assert (REAL_TIME.start, REAL_TIME.invocation, REAL_TIME.stream) == (8 * 60, 60, 8 * 60)
    assert (REAL_TIME.payload, REAL_TIME.certain_payload) == (25 * 2**20, 6 * 2**20)
    assert REAL_TIME.concurrency is None
    assert LOADING_LIMIT == 6 * 60


@pytest.mark.contract("HOST-47", "HOST-90", "HOST-91")
def test_a_serverless_endpoint_has_limits_of_its_own() -> None:
    limits = Serverless(2048, 7).limits
    assert (limits.start, limits.payload, limits.concurrency) == (180.0, 4 * MB, 7)
    with pytest.raises(ToolkitError, match="1 to 200"):
        Serverless(2048, 201)


@pytest.mark.contract("PIPE-04")
def test_more_containers_than_an_endpoint_may_have_are_refused() -> None:
    definitions = (ContainerDefinition("an-image"),) * 16
    with pytest.raises(ToolkitError, match="at most 15 containers"):
        LocalEndpoint(EndpointConfig("too-many", definitions), print).__enter__()


@pytest.mark.contract("PIPE-01", "PIPE-02")
def test_each_container_of_a_pipeline_has_ports_of_its_own() -> None:
    found = [ports_of(index) for index in range(15)]
    assert found[1] == {"SAGEMAKER_BIND_TO_PORT": "8081", "SAGEMAKER_SAFE_PORT_RANGE": "9100-9199"}
    ranges = [port for ports in found for port in ports.values()]
    assert len(set(ranges)) == 30


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain text", "plain text"),
        ("{not json", "{not json"),
        ('{"time": "t", "level": "info", "message": "Ready", "workers": 2}', "Ready workers=2"),
        ('{"level": "error", "message": "no", "request_id": "a b"}', 'ERROR: no request_id="a b"'),
        ('{"level": "error", "message": "no", "traceback": "Traceback"}', "ERROR: no\nTraceback"),
        (
            '{"method": "POST", "path": "/invocations", "status": 200, "ms": 1.5}',
            "POST /invocations 200  1.5 ms",
        ),
    ],
)
def test_a_json_line_is_shown_as_text(line, shown) -> None:
    assert readable(line) == shown


def test_a_request_that_was_shown_is_not_shown_again() -> None:
    request = '{"method": "POST", "path": "/invocations", "status": 200}'
    assert [readable(request, quiet) is None for quiet in (0.0, 5.0)] == [True, False]
    assert readable('{"method": "GET", "path": "/ping", "status": 200}', 0.0) is not None
    summary = '{"message": "requests", "seconds": 10.2, "requests": 184, "statuses": {"200": 184}}'
    assert [readable(summary, quiet) is None for quiet in (0.0, 11.0, 15.0)] == [True, True, False]


def test_latencies_are_told_by_operation_and_status() -> None:
    log = RequestLog(lambda _: None, certain_payload=10)
    for milliseconds in range(1, 101):
        log.begin()
        log.add(Served("InvokeEndpoint", 200, milliseconds / 1e3))
    log.begin()
    log.add(Served("InvokeEndpoint", 424, 1.0))
    lines = [line.split() for line in log.table().splitlines()]
    assert lines[1] == ["InvokeEndpoint", "200", "100", "50.0", "90.0", "99.0", "100.0"]
    assert lines[2] == ["InvokeEndpoint", "424", "1", *["1000.0"] * 4]
    assert percentile([7.0], 0.5) == 7.0
    assert latency_table(("a",), {("x",): [0.001]}).splitlines()[1].split() == ["x", "1", *["1.0"] * 4]


@pytest.mark.contract("HOST-51")
def test_a_payload_that_the_documents_disagree_about_is_warned_about() -> None:
    said: list[str] = []
    log = RequestLog(said.append, certain_payload=10)
    for size in (10, 11):
        log.begin()
        log.add(Served("InvokeEndpoint", 200, 0.1, received=size))
    assert ["warning" in line for line in said] == [False, True]


def test_changed_code_is_named_and_byte_code_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "inference.py").write_text("1")
    watch = CodeWatch(tmp_path)
    assert watch.changed() == []
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "inference.pyc").write_text("")
    (tmp_path / ".inference.py.swp").write_text("")
    assert watch.changed() == []
    (tmp_path / "inference.py").write_text("22")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "new.py").write_text("")
    assert watch.changed() == ["inference.py", "sub/new.py"]
    (tmp_path / "inference.py").unlink()
    assert watch.changed() == ["inference.py"]


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (IncompleteRead(b"half"), "primary broke its answer off"),
        (ConnectionResetError(104, "reset"), "primary gave no answer: [Errno 104] reset"),
        (RemoteDisconnected(), "primary gave no answer: RemoteDisconnected"),
    ],
)
def test_a_container_that_gives_no_whole_answer_is_named_with_what_it_did(cause, said) -> None:
    assert str(NoAnswerError("primary", cause)) == said


def test_a_container_that_needed_more_memory_is_said_to() -> None:
    assert describe(Ending(137, "2026-01-01T00:00:00Z", True)) == "was killed at its memory limit"
    assert describe(Ending(1, "2026-01-01T00:00:00Z", False)) == "ended with exit code 1"


class Held(EndpointClient):
    """Sends Ctrl-C to this program with its fifth call, and from then on answers when it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.lock = threading.Lock()
        self.may_answer = threading.Event()

    def invoke(self, call: Call) -> Response:
        with self.lock:
            self.calls += 1
            number = self.calls
        if number == 5:
            os.kill(os.getpid(), signal.SIGINT)
        if number >= 5:
            self.may_answer.wait(30)
        return Response(200, {}, b"")


def test_ctrl_c_ends_repeated_calls_with_those_under_way() -> None:
    client = Held()
    with pytest.raises(KeyboardInterrupt):
        repeat(client, Call(b""), 10_000, 2)
    client.may_answer.set()
    for thread in threading.enumerate():
        if thread.name.startswith("repeat"):
            thread.join(30)
    assert client.calls <= 6


def test_repeated_calls_are_all_sent_and_counted() -> None:
    client = Held()
    client.calls = 5
    client.may_answer.set()
    measured = repeat(client, Call(b""), 100, 8)
    assert (client.calls, len(measured.seconds[("200",)]), measured.failed) == (105, 100, 0)
