"""The container of a batch transform job: large requests, several at once, a record out for each one in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.profile import Profile
from toolkit.serving.endpoint import Endpoint

Rows = Callable[[int], bytes]
MEGABYTE = 1024 * 1024
CONCURRENT = 4


def variables_at_their_limit() -> dict[str, str]:
    """As many and as large as CreateTransformJob takes, beside the four of a job (BATCH-18)."""
    return {f"OF_THE_JOB_{number}".ljust(1024, "_"): "v" * 10240 for number in range(12)}


@pytest.fixture(scope="module")
def job(image: str, model: Path, start_limit: float) -> Iterator[Endpoint]:
    """The container of a job that allows 100 MB a request, as SDK 2's local mode starts it."""
    environment = {
        "SAGEMAKER_BATCH": "True",  # local mode's way of writing it
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "100",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(CONCURRENT),
        **variables_at_their_limit(),
    }
    with Endpoint(image, model, environment=environment, start_limit=start_limit) as running:
        yield running


@pytest.fixture(scope="module")
def unlimited(image: str, model: Path, start_limit: float) -> Iterator[Endpoint]:
    """The container of a job with MaxPayloadInMB 0."""
    environment = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}
    with Endpoint(image, model, environment=environment, start_limit=start_limit) as running:
        yield running


@pytest.mark.contract("BATCH-01", "BATCH-02", "BATCH-18", "BATCH-21", "LOCAL-11")
@pytest.mark.foundation("job")
def test_the_container_of_a_job_answers_the_client_of_the_platform(
    job: Endpoint, rows: Rows, profile: Profile
) -> None:
    headers = {"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}
    response = job.invoke(rows(3), profile.content_type, profile.accept, headers)
    assert response.status == 200, response.text
    assert "content-encoding" not in response.headers
    assert job.request("GET", "/ping", headers, timeout=2).status == 200


@pytest.mark.contract("BATCH-04", "BATCH-05")
def test_execution_parameters_fit_the_job_or_are_not_found(job: Endpoint) -> None:
    response = job.request("GET", "/execution-parameters", timeout=2)
    assert response.status in {200, 404}
    if response.status == 200:
        parameters = json.loads(response.body)
        assert parameters["BatchStrategy"] in {"SINGLE_RECORD", "MULTI_RECORD"}
        assert parameters["MaxConcurrentTransforms"] * parameters["MaxPayloadInMB"] <= 100


@pytest.mark.contract("HOST-52", "BATCH-06")
@pytest.mark.needs("growable")
def test_a_body_of_a_hundred_megabytes_is_taken(job: Endpoint, profile: Profile) -> None:
    body = profile.large_payload(99 * MEGABYTE)
    response = job.invoke(body, profile.content_type, profile.accept)
    assert response.status == 200, response.text[:500]
    assert profile.answers(response.text, body.count(b"\n"))


@pytest.mark.contract("BATCH-06", "BATCH-07")
@pytest.mark.foundation("unlimited")
@pytest.mark.needs("growable")
def test_a_body_of_unknown_length_is_taken_where_there_is_no_limit(
    unlimited: Endpoint, profile: Profile
) -> None:
    body = profile.large_payload(40 * MEGABYTE)
    parts = (body[start : start + 32768] for start in range(0, len(body), 32768))
    response = unlimited.invoke(parts, profile.content_type, profile.accept)
    assert response.status == 200, response.text[:500]
    assert profile.answers(response.text, body.count(b"\n"))


@pytest.mark.contract("BATCH-12", "BATCH-13", "BATCH-14")
@pytest.mark.needs("records")
def test_mini_batches_put_together_are_the_answer_to_the_whole(
    job: Endpoint, rows: Rows, profile: Profile
) -> None:
    lines = rows(60).splitlines(keepends=True)
    whole = job.invoke(b"".join(lines), "text/csv", profile.accept).text.split()
    assert len(whole) == len(lines)
    for size in (1, 7, 60):
        batches = [b"".join(lines[start : start + size]) for start in range(0, len(lines), size)]
        with ThreadPoolExecutor(CONCURRENT) as pool:
            sent = (pool.submit(job.invoke, batch, profile.content_type, profile.accept) for batch in batches)
            answers = [answer.result() for answer in list(sent)]
        assert {answer.status for answer in answers} == {200}
        # AssembleWith=Line: the platform puts a newline between the answers.
        assembled = "\n".join(answer.text.removesuffix("\n") for answer in answers).split("\n")
        assert [float(text) for text in assembled] == pytest.approx([float(text) for text in whole], rel=1e-5)


@pytest.mark.contract("BATCH-12")
@pytest.mark.needs("records")
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_last_record_may_end_with_a_newline_or_without(
    end: bytes, job: Endpoint, rows: Rows, profile: Profile
) -> None:
    response = job.invoke(rows(3).rstrip(b"\n") + end, profile.content_type, profile.accept)
    assert (response.status, len(response.text.split())) == (200, 3)


@pytest.mark.contract("BATCH-15")
def test_the_type_of_the_answer_may_be_left_to_the_container(
    job: Endpoint, rows: Rows, profile: Profile
) -> None:
    response = job.invoke(rows(2), profile.content_type)
    assert response.status == 200
    assert response.media_type


@pytest.mark.contract("BATCH-11")
@pytest.mark.needs("records")
def test_bad_data_is_refused_as_such_and_the_next_batch_is_answered(
    job: Endpoint, rows: Rows, profile: Profile
) -> None:
    assert job.invoke(b"not,a,number,at all\n", "text/csv", profile.accept).status == 400
    assert job.invoke(rows(2), profile.content_type, profile.accept).status == 200
