"""Stateful sessions: opening, using, closing, ending, and what a handler keeps in them."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opt_ml.serving.sessions.session import Session
from opt_ml.serving.sessions.store import SessionStore, files_of, is_session_id

from tests.unit.serving.conftest import eventually

COUNTING = """
import os

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept, context):
    if context.session is None:
        return f"none {os.getpid()}", "text/plain"
    count = context.session.get("count", 0) + 1
    context.session.put("count", count)
    return f"{count} {os.getpid()}", "text/plain"
"""
ID = "X-Amzn-SageMaker-Session-Id"
OPEN = b'{"requestType": "NEW_SESSION"}'
CLOSE = b'{"requestType": "CLOSE"}'
JSON = "application/json"


@pytest.fixture
def server(start, tmp_path):
    return start(
        COUNTING,
        SAGEMAKER_MODEL_SERVER_WORKERS=2,
        SAGEMAKER_ENABLE_STATEFUL_SESSIONS="true",
        SAGEMAKER_SESSIONS_PATH=tmp_path / "sessions",
    ).wait_until_ready()


def opened(server):
    reply = server.post(OPEN, JSON)
    assert reply.status == 200, reply.body
    name, _, expires = reply.headers["x-amzn-sagemaker-new-session-id"].partition("; Expires=")
    return name, expires


@pytest.mark.contract("HOST-103", "HOST-104", "HOST-105")
def test_what_a_request_keeps_is_there_for_the_next_one_of_its_session(server):
    first, expires = opened(server)
    second, _ = opened(server)
    assert is_session_id(first)
    assert first != second
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", expires)
    left = datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() - time.time()
    assert 1100 < left <= 1200
    answers = [server.post(b"x", "text/plain", **{ID: first}).body.split()[0] for _ in range(5)]
    assert answers == [b"1", b"2", b"3", b"4", b"5"]
    assert server.post(b"x", "text/plain", **{ID: second}).body.split()[0] == b"1"
    assert server.post(b"x", "text/plain").body.split()[0] == b"none"
    assert b"sessions_open 2" in server.request("GET", "/metrics").body


@pytest.mark.contract("HOST-103")
def test_a_request_may_open_the_session_that_it_is_the_first_of(server):
    reply = server.post(b"data", "text/plain", **{ID: "NEW_SESSION"})
    name = reply.headers["x-amzn-sagemaker-new-session-id"].partition(";")[0]
    assert reply.body.split()[0] == b"1"
    assert server.post(b"x", "text/plain", **{ID: name}).body.split()[0] == b"2"


@pytest.mark.contract("HOST-103", "HOST-105")
def test_a_closed_session_is_gone_with_all_that_it_kept(server, tmp_path):
    name, _ = opened(server)
    server.post(b"x", "text/plain", **{ID: name})
    assert (tmp_path / "sessions" / name).is_dir()
    reply = server.post(CLOSE, JSON, **{ID: name})
    assert (reply.status, reply.headers["x-amzn-sagemaker-closed-session-id"]) == (200, name)
    assert not (tmp_path / "sessions" / name).exists()
    again = server.post(b"x", "text/plain", **{ID: name})
    assert (again.status, again.json["error"].startswith(f"Session '{name}' is not open")) == (400, True)


@pytest.mark.contract("HOST-104", "HOST-105")
@pytest.mark.parametrize(
    ("body", "name", "text"),
    [
        (b"x", "nobody", "is not open"),
        (b"x", "../../etc", "is not open"),
        (b"x", "a" * 300, "is not open"),
        (CLOSE, None, "needs the header"),
        (CLOSE, "NEW_SESSION", "is not open"),
        (b'{"requestType": "NEW_SESSION", "ttl": 3}', None, "takes no other keys, but 'ttl'"),
    ],
)
def test_what_names_no_session_is_refused_with_400(server, body, name, text):
    reply = server.post(body, JSON, **({ID: name} if name else {}))
    assert reply.status == 400
    assert text in reply.json["error"]


def test_a_body_that_only_looks_like_a_wish_is_the_handlers(server):
    for body in (b'{"requestType": "OTHER"}', b'{"requestType"', b'["requestType"]'):
        assert server.post(body, JSON).body.startswith(b"none"), body


@pytest.mark.contract("HOST-105")
def test_where_sessions_are_off_opening_one_is_400_and_an_id_is_the_handlers_affair(start):
    server = start(COUNTING, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    reply = server.post(OPEN, JSON)
    assert (reply.status, "SAGEMAKER_ENABLE_STATEFUL_SESSIONS" in reply.json["error"]) == (400, True)
    assert server.post(b"x", "text/plain", **{ID: "NEW_SESSION"}).body.startswith(b"none")


@pytest.mark.contract("HOST-105")
def test_a_session_that_cannot_be_made_is_424(start, tmp_path):
    (tmp_path / "file").touch()
    server = start(
        COUNTING,
        SAGEMAKER_ENABLE_STATEFUL_SESSIONS="true",
        SAGEMAKER_SESSIONS_PATH=tmp_path / "file" / "below",
    ).wait_until_ready()
    reply = server.post(OPEN, JSON)
    assert (reply.status, "could not be opened" in reply.json["error"]) == (424, True)


@pytest.mark.contract("HOST-105")
def test_a_session_ends_by_itself_and_a_new_start_finds_those_that_have_not(start, tmp_path):
    variables = {
        "SAGEMAKER_ENABLE_STATEFUL_SESSIONS": "true",
        "SAGEMAKER_SESSIONS_PATH": tmp_path / "sessions",
        "SAGEMAKER_MODEL_SERVER_WORKERS": 1,
    }
    first = start(COUNTING, **variables).wait_until_ready()
    name, _ = opened(first)
    assert first.post(b"x", "text/plain", **{ID: name}).body.split()[0] == b"1"
    assert first.stop() == 0
    second = start(COUNTING, **variables, SAGEMAKER_SESSIONS_EXPIRATION=1).wait_until_ready()
    assert second.post(b"x", "text/plain", **{ID: name}).body.split()[0] == b"2"
    short, _ = opened(second)
    eventually(lambda: second.post(b"x", "text/plain", **{ID: short}).status == 400, "the session ends")
    assert not (tmp_path / "sessions" / short).exists()


def test_sessions_that_nobody_asks_for_any_more_are_swept(tmp_path):
    store = SessionStore(tmp_path, lifetime=-1.0)
    name, _ = store.open()
    assert len(store) == 1
    store.sweep()
    assert (len(store), list(tmp_path.iterdir())) == (0, [])
    assert not store.has(name)


@pytest.mark.parametrize("key", ["count", "a/b", "..", "ä", "with space", "x" * 200, "a.b"])
def test_a_value_comes_back_under_its_key(tmp_path, key):
    session = Session("s", tmp_path)
    assert session.get(key, "absent") == "absent"
    session.put(key, {"n": [1, 2.5, None]})
    assert session.get(key) == {"n": [1, 2.5, None]}
    [file] = tmp_path.iterdir()
    assert file.parent == tmp_path


@pytest.mark.parametrize("key", ["", "x" * 300])
def test_a_key_that_is_no_file_name_is_refused(tmp_path, key):
    with pytest.raises(ValueError, match="no key of a session"):
        Session("s", tmp_path).put(key, 1)


def test_keys_that_differ_in_what_follows_a_dot_do_not_meet(tmp_path):
    session = Session("s", tmp_path)
    session.put("a.b", 1)
    session.put("a.new", 2)
    session.put("a", 3)
    assert [session.get(key) for key in ("a.b", "a.new", "a")] == [1, 2, 3]


def test_handlers_write_below_what_tells_the_end_of_a_session(tmp_path):
    store = SessionStore(tmp_path, lifetime=100.0)
    name, end = store.open()
    Session(name, files_of(tmp_path, name)).put("a", 1)
    assert (Path(tmp_path) / name).stat().st_mtime == pytest.approx(end)


def test_workers_that_put_the_same_key_at_once_do_not_disturb_each_other(tmp_path):
    session = Session("s", tmp_path)

    def put_often(value: int) -> None:
        for _ in range(200):
            session.put("a", value)

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(put_often, range(4)))
    assert session.get("a") in range(4)
    assert len(list(tmp_path.iterdir())) == 1
