"""Models come, answer and go: the routes of a multi-model endpoint."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.unit.serving.conftest import end_all, starter
from tests.unit.serving.many_models import AS_BUILT_IN, ManyModels


@pytest.fixture
def many(start, tmp_path):
    """An endpoint with two shared processes, for one test."""
    return ManyModels(start, tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One endpoint for tests that leave it as it was."""
    started = []
    base = tmp_path_factory.mktemp("many")
    yield ManyModels(starter(base, started), base)
    end_all(started)


@pytest.mark.contract("MME-02", "MME-04")
def test_it_starts_healthy_without_a_model(shared):
    assert shared.server.ping() == 200
    assert shared.pages() == [[]]


@pytest.mark.contract("MME-05", "MME-10", "MME-11", "MME-12")
def test_a_model_is_loaded_asked_described_and_unloaded(shared):
    loaded = shared.load("one")
    assert (loaded.status, loaded.json["modelName"]) == (200, "one")
    assert shared.invoke("one").body.startswith(b"one hello of 1")
    url = str(shared.base / "models" / "one" / "model")
    assert shared.describe("one").json == {"modelName": "one", "modelUrl": url}
    assert shared.unload("one").status == 200
    assert [shared.describe("one").status, shared.invoke("one").status, shared.unload("one").status] == [
        404
    ] * 3


@pytest.mark.contract("MME-06")
def test_a_name_that_is_taken_gets_409(shared):
    assert shared.load("taken").status == 200
    assert shared.load("taken", shared.make("other")).status == 409
    assert shared.invoke("taken").body.startswith(b"taken")
    assert shared.unload("taken").status == 200


@pytest.mark.contract("MME-13", "MME-14")
@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "a/b",
        "..",
        ".",
        "%00",
        "\0",
        "%2F",
        "ä/€ 🦔",
        "x" * 500,
        "a?b=c#d",
        "invoke",
        "models",
        "+",
        "'\"<>",
    ],
)
def test_a_name_may_hold_any_characters(shared, name):
    url = shared.make(f"folder-{quote(name, safe='')[:100]}")
    assert shared.load(name, url).status == 200
    assert shared.describe(name).json == {"modelName": name, "modelUrl": url}
    assert shared.names() == [name]
    assert shared.invoke(name).status == 200
    assert shared.unload(name).status == 200
    assert shared.names() == []


@pytest.mark.contract("MME-08")
@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"model_name": "a"}', "url"),
        (b'{"url": "/tmp"}', "model_name"),
        (b'{"model_name": "", "url": "/tmp"}', "model_name"),
        (b'{"model_name": 3, "url": "/tmp"}', "model_name"),
        (b'{"model_name": "a", "url": "relative/model"}', "absolute"),
        (b'{"model_name": "a", "url": "/no/such/place"}', "/no/such/place is not a directory"),
        (b'{"model_name": "a", "url": "/etc/passwd"}', "not a directory"),
        (b'{"model_name": "a", "url": "/tmp/\\u0000"}', "url"),
        (json.dumps({"model_name": "a", "url": "/" + "x" * 5000}).encode(), "url"),
    ],
)
def test_a_wrong_order_gets_400_and_a_cause(shared, body, cause):
    reply = shared.server.request("POST", "/models", body)
    assert reply.status == 400
    assert cause in reply.json["error"]
    assert shared.names() == []


@pytest.mark.contract("MME-08")
@pytest.mark.parametrize(
    ("fault", "status", "cause"),
    [
        ("user", 400, "model.json: no such thing"),
        ("bug", 500, "KeyError: 'bug'"),
        ("memory", 507, "MemoryError: no room"),
    ],
)
@pytest.mark.parametrize(
    "code",
    [None, AS_BUILT_IN],
)
def test_a_model_that_cannot_be_loaded_says_why_and_leaves_nothing(many, fault, status, cause, code):
    reply = many.load("broken", fault=fault, code=code)
    assert reply.status == status
    assert cause in reply.json["error"]
    assert b"Traceback" not in reply.body
    assert many.names() == []
    assert many.load("sound").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/models", 405),
        ("POST", "/models/one", 405),
        ("GET", "/models/one/invoke", 405),
        ("GET", "/models/", 404),
        ("POST", "/models//invoke", 404),
        ("POST", "/models/one/two/invoke", 404),
        ("POST", "/models/one/explain", 404),
        ("POST", "/invocations", 400),
        ("GET", "/models?limit=0", 400),
        ("GET", "/models?limit=ten", 400),
        ("GET", "/models?next_page_token=-1", 400),
        ("GET", "/modelsx", 404),
        ("PUT", "/models-one", 404),
    ],
)
def test_other_requests_are_refused(shared, method, path, status):
    reply = shared.server.request(method, path, b"{}")
    assert reply.status == status
    assert reply.json["error"]


@pytest.mark.contract("MME-09", "MME-21")
def test_models_are_listed_page_by_page_while_others_come_and_go(many):
    url = many.make("any")
    names = [f"model-{number}" for number in range(7)]
    for name in names:
        assert many.load(name, url).status == 200
    assert many.pages() == [names]
    assert many.pages(limit=3) == [names[:3], names[3:6], names[6:]]
    assert many.pages(limit=7) == [names]
    first = many.server.request("GET", "/models?limit=3").json
    many.unload("model-0")
    many.unload("model-2")
    many.load("late", url)
    many.invoke("model-6")
    second = many.server.request("GET", f"/models?limit=3&next_page_token={first['nextPageToken']}").json
    assert [model["modelName"] for model in second["models"]] == names[3:6]
    assert many.names() == ["model-1", *names[3:], "late"]


def test_a_page_has_at_most_100_models(many):
    url = many.make("any")
    for number in range(101):
        assert many.load(str(number), url).status == 200
    assert list(map(len, many.pages())) == [100, 1]
    assert list(map(len, many.pages(limit=1000))) == [100, 1]
