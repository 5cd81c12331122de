"""Requests, good and bad, to a served model."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.conformance.crowds import crowd
from tests.conformance.endpoints import request_headers
from tests.conformance.profile import Profile, Request
from toolkit.serving.endpoint import Endpoint, Response
from toolkit.serving.http_client import send

Rows = Callable[[int], bytes]

# How clients write a media type: name -> what they make of it.
FORMS: dict[str, Callable[[str], str]] = {
    "charset": lambda media_type: f"{media_type}; charset=utf-8",
    "label-size": lambda media_type: f"{media_type};label_size=0",
    "capitals": str.title,
}


def assert_answers(response: Response, rows: int, profile: Profile) -> None:
    assert response.status == 200, response.text
    assert profile.accept is None or response.media_type == profile.accept
    assert profile.answers(response.text, rows), f"{rows} records, and for an answer {response.text[:200]!r}"


@pytest.mark.contract("HOST-53", "HOST-56", "BATCH-13")
def test_each_row_gets_one_answer_in_the_type_that_was_asked_for(
    endpoint: Endpoint, rows: Rows, profile: Profile
) -> None:
    assert_answers(endpoint.invoke(rows(5), profile.content_type, profile.accept), 5, profile)


@pytest.mark.contract("HOST-56", "HOST-57")
@pytest.mark.parametrize("accept", [None, "*/*", "text/csv, application/json;q=0.5, */*;q=0.1"])
def test_accept_may_be_missing_or_a_list(
    accept: str | None, endpoint: Endpoint, rows: Rows, profile: Profile
) -> None:
    response = endpoint.invoke(rows(2), profile.content_type, accept)
    assert response.status == 200, response.text
    assert response.media_type, "the answer has no Content-Type"


@pytest.mark.contract("HOST-57")
@pytest.mark.parametrize("content_type", [None, "application/octet-stream"])
def test_a_missing_content_type_is_no_server_error(
    content_type: str | None, endpoint: Endpoint, rows: Rows
) -> None:
    response = endpoint.invoke(rows(2), content_type)
    assert response.status in {200, 400, 415}, response.text


@pytest.mark.contract("HOST-58")
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_parameters_of_the_content_type_are_understood(
    form: Callable[[str], str], endpoint: Endpoint, rows: Rows, profile: Profile
) -> None:
    content_type = form(profile.content_type)
    assert_answers(endpoint.invoke(rows(3), content_type, profile.accept), 3, profile)


@pytest.mark.contract("HOST-34", "HOST-59", "HOST-60")
def test_unknown_headers_are_ignored(endpoint: Endpoint, rows: Rows, profile: Profile) -> None:
    headers = {
        "X-Amzn-SageMaker-Custom-Attributes": "c000b4f9-df62-4c85-a0bf-7c525f9104a4",
        "X-Amzn-SageMaker-Inference-Id": "an-id",
        "X-Of-Next-Year": "x" * 4000,
        "User-Agent": "AHC/2.0",
    }
    response = endpoint.invoke(rows(2), profile.content_type, profile.accept, headers)
    assert response.status == 200, response.text
    assert response.text == endpoint.invoke(rows(2), profile.content_type, profile.accept).text


@pytest.mark.contract("BATCH-07")
def test_a_chunked_body_without_a_length_is_read(endpoint: Endpoint, rows: Rows, profile: Profile) -> None:
    parts = iter(rows(4).splitlines(keepends=True))
    assert_answers(endpoint.invoke(parts, profile.content_type, profile.accept), 4, profile)


@pytest.mark.contract("HOST-51", "HOST-52")
@pytest.mark.needs("growable")
def test_a_body_of_six_megabytes_is_taken(endpoint: Endpoint, rows: Rows, profile: Profile) -> None:
    one = rows(1000)
    body = one * (6_000_000 // len(one)) if profile.records else profile.large_payload(6_000_000)
    assert_answers(endpoint.invoke(body, profile.content_type, profile.accept), body.count(b"\n"), profile)


@pytest.mark.contract("HOST-51", "HOST-52")
@pytest.mark.needs("growable")
def test_a_body_of_twenty_five_megabytes_is_taken(endpoint: Endpoint, profile: Profile) -> None:
    body = profile.large_payload(25 * 2**20)
    assert_answers(endpoint.invoke(body, profile.content_type, profile.accept), body.count(b"\n"), profile)


@pytest.mark.contract("HOST-61")
@pytest.mark.needs("records")
def test_each_of_many_records_gets_the_answer_that_it_gets_alone(
    endpoint: Endpoint, rows: Rows, profile: Profile
) -> None:
    records = rows(1000).splitlines(keepends=True)
    together = endpoint.invoke(b"".join(records), "text/csv", profile.accept).text.split()
    assert len(together) == len(records)
    for number in (0, 1, 499, 998, 999):
        alone = endpoint.invoke(records[number], profile.content_type, profile.accept).text
        assert float(together[number]) == pytest.approx(float(alone), rel=1e-5)


@pytest.mark.contract("HOST-33")
def test_a_connection_is_kept_and_many_are_open_at_once(
    endpoint: Endpoint, rows: Rows, profile: Profile
) -> None:
    headers = request_headers(profile)
    connections = [endpoint.connect(timeout=30) for _ in range(40)]
    with ExitStack() as resources, crowd(endpoint):
        for connection in connections:
            resources.callback(connection.close)
            connection.connect()
        sockets = [connection.sock for connection in connections]
        for _ in range(2):
            # The first, the last, and two between them: a server may hang up on those that come late.
            answers = [
                send(connection, "POST", "/invocations", headers, rows(1)) for connection in connections[::13]
            ]
            assert [answer.status for answer in answers] == [200] * 4
        assert [connection.sock for connection in connections] == sockets, "the server closed a connection"


@pytest.mark.contract("HOST-35", "HOST-80", "HOST-81")
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/metrics"), ("POST", "/no/such/path")])
def test_unknown_paths_are_not_found(method: str, path: str, endpoint: Endpoint) -> None:
    response = endpoint.request(method, path, {"Content-Type": "text/csv"}, timeout=2)
    # HOST-82: an image may have metrics, and a server may know the root.
    assert response.status in {"/metrics": {404, 200}, "/": {404, 405, 200}}.get(path, {404})


@pytest.mark.contract("BATCH-03", "BATCH-04")
def test_execution_parameters_are_given_or_not_found(endpoint: Endpoint) -> None:
    response = endpoint.request("GET", "/execution-parameters", timeout=2)
    assert response.status in {200, 404}
    if response.status == 200:
        assert set(json.loads(response.body)) >= {
            "MaxConcurrentTransforms",
            "BatchStrategy",
            "MaxPayloadInMB",
        }


@pytest.mark.contract("HOST-54", "HOST-55")
def test_a_wrong_request_is_explained_and_harms_nobody(wrong_request: Request, endpoint: Endpoint) -> None:
    response = endpoint.invoke(wrong_request.body.encode(), wrong_request.content_type)
    assert response.status in wrong_request.status, response.text
    # HOST-54: only so many characters reach the client
    explanation = response.text[:2048]
    assert explanation.strip()
    assert "Traceback" not in explanation
    assert [text for text in wrong_request.names if text not in explanation] == []


@pytest.mark.contract("HOST-55", "HOST-56")
def test_an_answer_type_that_nobody_makes_is_refused(
    endpoint: Endpoint, rows: Rows, profile: Profile
) -> None:
    response = endpoint.invoke(rows(1), profile.content_type, "image/x-unknown")
    assert response.status == 406, response.text
