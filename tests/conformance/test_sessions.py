"""Stateful sessions: a client opens one, its requests find what earlier ones have left, and it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conformance.endpoints import Handlers, eventually
from toolkit.serving.endpoint import Endpoint, Response

ID = "X-Amzn-SageMaker-Session-Id"
NEW, OPEN, CLOSE = "NEW_SESSION", b'{"requestType": "NEW_SESSION"}', b'{"requestType": "CLOSE"}'
LIFETIME = timedelta(seconds=1200)  # HOST-105
ENABLED = {"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": "true", "SAGEMAKER_MODEL_SERVER_WORKERS": "2"}
# Where the container runs -> what that takes
PLACES: dict[str, dict[str, Any]] = {
    "as-root": {"environment": ENABLED},
    "as-anybody-with-nothing-but-tmp": {
        "environment": {**ENABLED, "SAGEMAKER_SESSIONS_PATH": "/tmp/of-sessions"},
        "user": "31415:27182",
        "read_only": True,
    },
}


@pytest.fixture(scope="module")
def with_sessions(handlers: Handlers) -> Handlers:
    """`handlers`, of an image that keeps sessions."""
    return handlers


@pytest.fixture(scope="module", params=PLACES.values(), ids=PLACES)
def counting(request: pytest.FixtureRequest, with_sessions: Handlers) -> Iterator[Endpoint]:
    """Serves handlers/counts.py with sessions."""
    with with_sessions.serve("counts.py", **request.param) as running:
        yield running


def ask(endpoint: Endpoint, body: bytes, session: str | None = None) -> Response:
    headers = {ID: session} if session else {}
    return endpoint.invoke(body, "application/json", "application/json", headers)


def facts(endpoint: Endpoint, session: str | None, body: bytes = b"[]") -> Any:
    response = ask(endpoint, body, session)
    assert response.status == 200, f"{response.text}\n{endpoint.logs()}"
    return json.loads(response.body)


def opened(response: Response) -> tuple[str, datetime]:
    """Id and end of the session that the answer tells of."""
    assert response.status == 200, response.text
    told = re.fullmatch(
        r"([a-zA-Z0-9](?:-*[a-zA-Z0-9])*); Expires=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)",
        response.headers["x-amzn-sagemaker-new-session-id"],
    )
    assert told
    assert len(told[1]) <= 256
    return told[1], datetime.strptime(told[2], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def refusal(response: Response, status: int = 400) -> str:
    assert response.status == status, response.text
    return str(json.loads(response.body)["error"])


@pytest.mark.contract("HOST-103", "HOST-104", "HOST-105")
def test_each_session_has_a_count_of_its_own(counting: Endpoint) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    (first, end), (second, _) = opened(ask(counting, OPEN)), opened(ask(counting, OPEN, NEW))
    assert before + LIFETIME <= end <= datetime.now(UTC) + LIFETIME
    told = [facts(counting, first, b"[%d]" % number) for number in range(3)]
    assert [(one["session"], one["count"], one["before"]) for one in told] == [
        (first, 1, None),
        (first, 2, "[0]"),
        (first, 3, "[1]"),
    ]
    assert facts(counting, second)["count"] == 1
    assert facts(counting, None) == {"session": None}


@pytest.mark.contract("HOST-103")
def test_the_first_request_of_a_session_may_be_answered_by_the_handler(counting: Endpoint) -> None:
    response = ask(counting, b"[]", NEW)
    name, _ = opened(response)
    assert (json.loads(response.body)["session"], json.loads(response.body)["count"]) == (name, 1)
    assert facts(counting, name)["count"] == 2


@pytest.mark.contract("HOST-103")
def test_requests_at_once_share_the_files_of_their_session(counting: Endpoint) -> None:
    name, _ = opened(ask(counting, OPEN))
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: facts(counting, name)["count"], range(40)))
    assert max(counts) == 40


@pytest.mark.contract("HOST-103", "HOST-12")
def test_a_session_outlives_the_workers_that_answered_it(counting: Endpoint) -> None:
    name, _ = opened(ask(counting, OPEN))
    told = [facts(counting, name)]

    def another_answers() -> bool:
        ask(counting, b"end", name)  # costs one of the workers
        response = ask(counting, b"[]", name)
        if response.status == 200:
            told.append(json.loads(response.body))
        return told[-1]["process"] != told[0]["process"]

    eventually(another_answers, "a worker that did not answer before")
    assert [one["count"] for one in told] == list(range(1, len(told) + 1))


@pytest.mark.contract("HOST-103", "HOST-105")
def test_a_session_that_is_closed_leaves_nothing(counting: Endpoint) -> None:
    name, _ = opened(ask(counting, OPEN))
    directory = facts(counting, name)["directory"]
    exists = ["python3", "-c", f"import os; print(os.path.exists({directory!r}))"]
    assert counting.container.exec(exists, b"") == b"True\n"
    closed = ask(counting, CLOSE, name)
    assert (closed.status, closed.headers["x-amzn-sagemaker-closed-session-id"]) == (200, name)
    assert counting.container.exec(exists, b"") == b"False\n"
    for body in (b"[]", CLOSE):
        assert name in refusal(ask(counting, body, name))


@pytest.mark.contract("HOST-104", "HOST-105")
@pytest.mark.parametrize(
    ("body", "session"),
    [
        (b"[]", "nobodys"),
        (b"[]", "../../etc"),
        (b"[]", "a" * 300),
        (CLOSE, None),
        (CLOSE, "nobodys"),
        (b'{"requestType": "NEW_SESSION", "seconds": 3}', None),
    ],
    ids=["unknown", "path", "long", "close-without-id", "close-unknown", "keys"],
)
def test_a_wrong_request_about_sessions_is_400(body: bytes, session: str | None, counting: Endpoint) -> None:
    assert refusal(ask(counting, body, session))


@pytest.mark.contract("HOST-105")
def test_a_session_ends_by_itself(with_sessions: Handlers) -> None:
    with with_sessions.serve(
        "counts.py", environment={**ENABLED, "SAGEMAKER_SESSIONS_EXPIRATION": "1"}
    ) as served:
        name, _ = opened(ask(served, OPEN))
        eventually(lambda: ask(served, b"[]", name).status == 400, "the session ends")
        assert name in refusal(ask(served, b"[]", name))


@pytest.mark.contract("HOST-105")
def test_where_sessions_have_no_place_opening_one_is_424_and_all_else_works(with_sessions: Handlers) -> None:
    environment = {**ENABLED, "SAGEMAKER_SESSIONS_PATH": "/opt/ml/model/sessions"}
    with with_sessions.serve("counts.py", environment=environment) as served:
        for session in (None, NEW):
            assert "could not be opened" in refusal(ask(served, OPEN, session), 424)
        assert facts(served, None) == {"session": None}


@pytest.mark.contract("HOST-105")
def test_where_sessions_are_off_opening_one_is_400(with_sessions: Handlers) -> None:
    with with_sessions.serve("counts.py") as served:
        assert "SAGEMAKER_ENABLE_STATEFUL_SESSIONS" in refusal(ask(served, OPEN))
        assert facts(served, "an-id") == {"session": None}
