"""Batch transform without a container: records, payloads, settings, outputs."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ToolkitError
from toolkit.serving.model_server import ModelServer
from toolkit.transform.assembly import assembled
from toolkit.transform.json_path import parse
from toolkit.transform.output import OutputFile
from toolkit.transform.payloads import Payload, payloads
from toolkit.transform.processing import ProcessingError
from toolkit.transform.records import RecordError, split
from toolkit.transform.sender import RequestError, Sender
from toolkit.transform.settings import MB, Resolved, TransformJob, resolve

JOB = TransformJob(
    "an-image",
    None,
    Path("in"),
    Path("out"),
    content_type="text/csv",
    accept="text/csv",
    split_type="Line",
)


def path(text: str):
    return parse("--input-filter", text)


def recordio(content: bytes, part: int = 0) -> bytes:
    return struct.pack("<II", 0xCED7230A, part << 29 | len(content)) + content + b"\0" * (-len(content) % 4)


def tfrecord(content: bytes) -> bytes:
    return struct.pack("<QI", len(content), 1) + content + b"\0" * 4


@pytest.mark.contract("BATCH-12")
def test_lines_keep_their_ends_and_empty_lines_are_no_records() -> None:
    found = list(split(io.BytesIO(b"a\r\n\n b\nlast"), "Line", 0))
    assert [record.framed for record in found] == [b"a\r\n", b" b\n", b"last"]
    assert [record.content for record in found] == [b"a", b" b", b"last"]


@pytest.mark.contract("BATCH-12", "BATCH-16")
@pytest.mark.parametrize(("kind", "frame"), [("RecordIO", recordio), ("TFRecord", tfrecord)])
def test_binary_records_are_found_whole_and_bare(kind, frame) -> None:
    contents = [b"", b"abc", b"12345678"]
    found = list(split(io.BytesIO(b"".join(map(frame, contents))), kind, 0))
    assert [record.content for record in found] == contents
    assert [record.framed for record in found] == [frame(content) for content in contents]


def test_a_record_in_several_parts_is_one() -> None:
    stream = io.BytesIO(recordio(b"ab", 1) + recordio(b"cd", 2) + recordio(b"ef", 3))
    (record,) = split(stream, "RecordIO", 0)
    magic = struct.pack("<I", 0xCED7230A)
    assert record.content == b"ab" + magic + b"cd" + magic + b"ef"


@pytest.mark.parametrize(
    ("kind", "data", "cause"),
    [
        ("RecordIO", b"x" * 20, "record 1 does not begin with"),
        ("RecordIO", recordio(b"abcd") + recordio(b"abcd")[:-2], "record 2 ends early"),
        ("TFRecord", tfrecord(b"abcd")[:-1], "record 1 ends early"),
        ("Line", b"1\n" + b"2" * 50, "line 2 is larger than --max-payload"),
        ("RecordIO", recordio(b"a" * 50), "record 1 is larger"),
        ("TFRecord", tfrecord(b"a" * 50), "record 1 is larger"),
    ],
)
def test_what_is_wrong_with_a_record_is_said_with_its_number(kind, data, cause) -> None:
    with pytest.raises(RecordError, match=cause):
        list(split(io.BytesIO(data), kind, 20))


def file_of(directory: Path, data: bytes) -> Path:
    path = directory / "data"
    path.write_bytes(data)
    return path


@pytest.mark.contract("BATCH-12")
@given(
    st.lists(
        st.binary(min_size=1, max_size=30).map(lambda text: b"x" + text.replace(b"\n", b"")), max_size=30
    )
)
def test_mini_batches_hold_all_records_in_order_and_stay_below_the_limit(tmp_path_factory, lines) -> None:
    data = b"".join(line + b"\n" for line in lines)
    found = list(
        payloads(file_of(tmp_path_factory.mktemp("batch"), data), JOB, Resolved(64, 1, "MultiRecord"))
    )
    bodies = [payload.body() for payload in found]
    assert b"".join(bodies) == data
    assert all(len(body) <= 64 for body in bodies)
    assert sum(payload.records for payload in found) == len([line for line in lines if line.strip()])


@pytest.mark.contract("BATCH-16")
def test_padding_goes_for_single_records_alone(tmp_path) -> None:
    path = file_of(tmp_path, recordio(b"abc") + recordio(b"d"))
    job = replace(JOB, split_type="RecordIO")
    single = payloads(path, job, Resolved(64, 1, "SingleRecord"))
    assert [payload.body() for payload in single] == [b"abc", b"d"]
    (multi,) = payloads(path, job, Resolved(64, 1, "MultiRecord"))
    assert multi.body() == path.read_bytes()


@pytest.mark.contract("BATCH-06")
def test_without_a_limit_the_file_is_one_body_of_parts_that_can_be_sent_again(tmp_path) -> None:
    path = file_of(tmp_path, b"1,2\n" * 50_000)
    (payload,) = payloads(path, replace(JOB, split_type="None"), Resolved(0, 1, "SingleRecord"))
    for _ in range(2):
        parts = list(payload.body())
        assert len(parts) > 1
        assert b"".join(parts) == path.read_bytes()


def test_a_file_above_the_limit_is_refused_where_it_is_not_split(tmp_path) -> None:
    path = file_of(tmp_path, b"x" * (MB + 1))
    with pytest.raises(RecordError, match="--split-type is None"):
        list(payloads(path, replace(JOB, split_type="None"), Resolved(MB, 1, "SingleRecord")))


@pytest.mark.contract("BATCH-17")
def test_the_input_filter_takes_columns_away_before_the_request(tmp_path) -> None:
    job = replace(JOB, input_filter=path("$[1:]"), join_source="Input")
    (payload,) = payloads(file_of(tmp_path, b'7,"a, b",1\n8,c,2\n'), job, Resolved(64, 1, "MultiRecord"))
    assert payload.body() == b'"a, b",1\nc,2\n'
    assert list(payload.inputs()) == [b'7,"a, b",1', b"8,c,2"]


@pytest.mark.parametrize("limit", [0, MB])
def test_a_record_that_the_input_filter_does_not_fit_is_named_by_its_number(tmp_path, limit) -> None:
    job = replace(JOB, input_filter=path("$[2]"))
    with pytest.raises(ProcessingError, match=r"record 2: \$\[2\] does not fit"):
        for payload in payloads(file_of(tmp_path, b"1,2,3\n4,5\n"), job, Resolved(limit, 1, "MultiRecord")):
            b"".join(payload.body())


def payload_of(*records: bytes) -> Payload:
    return Payload(lambda: b"", lambda: iter(records), len(records))


def output(job: TransformJob, answer: bytes, *records: bytes) -> bytes:
    return b"".join(assembled(payload_of(*records), io.BytesIO(answer), job))


@pytest.mark.contract("BATCH-14")
def test_a_newline_ends_each_answer_once() -> None:
    line = replace(JOB, assemble_with="Line")
    assert output(line, b"1\n2", b"a", b"b") == b"1\n2\n"
    assert output(line, b"1\n2\n", b"a", b"b") == b"1\n2\n"
    assert output(JOB, b"1\n2", b"a", b"b") == b"1\n2"


@pytest.mark.contract("BATCH-13")
@pytest.mark.parametrize(("answer", "side"), [(b"1\n", "fewer"), (b"1\n2\n3\n", "more")])
def test_a_join_needs_one_result_a_record(answer, side) -> None:
    with pytest.raises(ProcessingError, match=f"gave {side} results"):
        output(replace(JOB, join_source="Input"), answer, b"a", b"b")


def test_a_json_answer_over_several_lines_is_one_result_of_one_record() -> None:
    job = replace(JOB, content_type="application/json", accept="application/json", join_source="Input")
    assert json.loads(output(job, b'{\n "p": 1\n}\n', b'{"id": 2}')) == {"id": 2, "SageMakerOutput": {"p": 1}}


@pytest.mark.contract("BATCH-05")
def test_the_request_goes_before_the_container_and_the_container_before_the_defaults() -> None:
    told = {"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 3}
    assert resolve(JOB, {}) == Resolved(6 * MB, 1, "MultiRecord")
    assert resolve(JOB, told) == Resolved(3 * MB, 8, "SingleRecord")
    asked = replace(JOB, max_payload=0, max_concurrent=2, strategy="MultiRecord")
    assert resolve(asked, told) == Resolved(0, 2, "MultiRecord")


@pytest.mark.contract("BATCH-06")
def test_all_payloads_at_once_stay_below_100_mb() -> None:
    with pytest.raises(ToolkitError, match="20 requests of 6 MB at once"):
        resolve(replace(JOB, max_concurrent=20), {})


@pytest.mark.contract("BATCH-01", "BATCH-02")
def test_the_container_is_told_what_the_request_says() -> None:
    assert JOB.container_environment() == {"SAGEMAKER_BATCH": "true"}
    job = replace(JOB, strategy="MultiRecord", max_payload=2, max_concurrent=3, environment={"A": "b"})
    assert job.container_environment() == {
        "A": "b",
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "2",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
    }


@pytest.mark.contract("BATCH-08", "BATCH-18")
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"timeout": 0}, "--timeout"),
        ({"timeout": 3601}, "--timeout"),
        ({"max_retries": 4}, "--max-retries"),
        ({"max_payload": 101}, "--max-payload"),
        ({"max_concurrent": -1}, "--max-concurrent"),
        ({"environment": {"1A": ""}}, "--environment 1A"),
        ({"split_type": "None", "strategy": "MultiRecord"}, "--split-type Line"),
        ({"environment": {f"A{number}": "" for number in range(17)}}, "17 entries"),
        ({"content_type": "image/png", "join_source": "Input"}, "not image/png"),
        ({"accept": None, "join_source": "Input"}, "Add --accept text/csv"),
        ({"accept": "application/json", "join_source": "Input"}, "not application/json"),
        ({"content_type": "application/json", "input_filter": path("$.a")}, "not text/csv"),
        ({"split_type": "None", "join_source": "Input"}, "--split-type Line"),
        (
            {
                "split_type": "RecordIO",
                "content_type": "application/json",
                "accept": "application/json",
                "join_source": "Input",
            },
            "RecordIO",
        ),
    ],
)
def test_what_the_api_refuses_is_refused_by_the_name_of_the_option(changes, named) -> None:
    with pytest.raises(ToolkitError, match=named):
        replace(JOB, **changes)


def test_outputs_are_never_the_inputs_of_the_next_job(tmp_path) -> None:
    for destination in (tmp_path, tmp_path / "sub" / "out"):
        with pytest.raises(ToolkitError, match=r"--output .* lies in --input"):
            replace(JOB, source=tmp_path, destination=destination)
    assert replace(JOB, source=tmp_path / "in.csv", destination=tmp_path).destination == tmp_path


def test_a_file_in_the_place_of_the_output_is_refused_before_a_container_starts(tmp_path) -> None:
    with pytest.raises(ToolkitError, match=r"--output .* is a file"):
        replace(JOB, destination=file_of(tmp_path, b""))


def test_a_payload_says_which_records_it_holds(tmp_path) -> None:
    path = file_of(tmp_path, b"1\n\n2\n3\n")
    several = payloads(path, JOB, Resolved(4, 1, "MultiRecord"))
    assert [payload.place for payload in several] == ["records 1 to 2: ", "record 3: "]
    (whole,) = payloads(path, replace(JOB, split_type="None"), Resolved(MB, 1, "SingleRecord"))
    assert whole.place == ""


class OutOfOrder(ModelServer):
    """A server that cannot be reached."""

    def connect(self, timeout: float = 60.0):
        raise ConnectionRefusedError("refused")


def test_a_job_that_is_cancelled_tries_nothing_again() -> None:
    said: list[str] = []

    def cancel(cause: str) -> None:
        said.append(cause)
        sender.cancel()

    sender = Sender(OutOfOrder(), {}, 1.0, 3, cancel)
    with pytest.raises(RequestError, match="refused"):
        sender.send(lambda: b"")
    assert said == ["in 1 s: the container gave no answer: refused"]


def test_an_output_is_there_whole_or_not_at_all(tmp_path) -> None:
    output = OutputFile(tmp_path, "sub/a.csv")
    output.write(b"1\n")
    assert not (tmp_path / "sub/a.csv.out").exists()
    assert output.complete().read_bytes() == b"1\n"
    again = OutputFile(tmp_path, "sub/a.csv")
    again.write(b"2\n")
    again.discard()
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.csv.out"]
    assert (tmp_path / "sub/a.csv.out").read_bytes() == b"1\n"
