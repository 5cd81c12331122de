"""One container, many models, which the platform loads and unloads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.endpoints import eventually_logged
from tests.conformance.many_models import PLACE, ManyModels
from tests.conformance.profile import Profile
from toolkit.serving.endpoint import Bind, Endpoint, Surroundings

LABEL = "com.amazonaws.sagemaker.capabilities.multi-models"
ENVIRONMENT = {"SAGEMAKER_MULTI_MODEL": "true"}
MEMORY = 512 * 1024 * 1024
# Room for any framework, and half of what a model that is too large asks for. The kernel ends what has most,
# which must be that model.
MORE_MEMORY = 1024 * 1024 * 1024

Rows = Callable[[int], bytes]

# The program of a model with code of its own; the helper has the same name in each.
OWN_CODE = """
import time
import helper
def model_fn(model_dir): return helper.NAME
def input_fn(body, content_type): return body
def predict_fn(data, model):
    print(f"{model} was asked", flush=True)
    time.sleep(float(data))
    return model
def output_fn(prediction, accept): return prediction, "text/plain"
"""
LARGE = """
def model_fn(model_dir): return b"x" * 120_000_000
def transform_fn(model, body, content_type, accept): return ""
"""
HUNGRY = """
def model_fn(model_dir): return bytearray(b"x" * 2**31)
def transform_fn(model, body, content_type, accept): return ""
"""


@pytest.fixture(scope="module")
def served_models(
    image: str, model: Path, start_limit: float, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ManyModels]:
    directory = tmp_path_factory.mktemp("models")
    around = Surroundings(binds=(Bind(directory, PLACE, read_only=True),))
    with Endpoint(image, environment=ENVIRONMENT, surroundings=around, start_limit=start_limit) as endpoint:
        yield ManyModels(endpoint, directory, model)


@pytest.fixture
def many(served_models: ManyModels) -> Iterator[ManyModels]:
    """An endpoint with no model loaded; its tests are left out where the profile has no multi_model."""
    assert served_models.names() == []
    yield served_models
    assert served_models.endpoint.ping().status == 200
    for name in served_models.names():
        assert served_models.unload(name).status == 200


@pytest.mark.contract("MME-01")
def test_a_label_says_whether_many_models_can_be_served(facts: Mapping[str, Any], profile: Profile) -> None:
    claimed = (facts["Config"]["Labels"] or {}).get(LABEL, "false")
    assert claimed == ("true" if profile.multi_model else "false")


@pytest.mark.contract("MME-02", "MME-04", "MME-18", "MME-22", "MME-23")
@pytest.mark.foundation("many")
def test_it_is_healthy_without_a_model(many: ManyModels) -> None:
    assert many.endpoint.ping().status == 200
    assert many.pages() == [[]]


@pytest.mark.contract("MME-03", "MME-05", "MME-10", "MME-11", "MME-12", "MME-13", "MME-15", "MME-17")
def test_a_model_is_loaded_asked_unloaded_and_loaded_again(
    many: ManyModels, rows: Rows, profile: Profile
) -> None:
    for _ in range(2):
        url = many.unpack("d41d8cd98f00b204e9800998ecf8427e")
        assert many.load("one", url).status == 200
        described = many.describe("one")
        assert described.status == 200, described.text
        facts = json.loads(described.text)
        assert (facts["modelName"], facts["modelUrl"]) == ("one", url)
        answer = many.invoke("one", rows(2), profile.accept)
        assert answer.status == 200, answer.text
        assert len(answer.text.split()) == 2
        assert many.unload("one").status == 200
        many.remove("d41d8cd98f00b204e9800998ecf8427e")
    statuses = [many.describe("one"), many.invoke("one", rows(1), profile.accept), many.unload("one")]
    assert [answer.status for answer in statuses] == [404, 404, 404]


@pytest.mark.contract("MME-06")
def test_a_model_that_is_loaded_gets_409_and_stays(many: ManyModels, rows: Rows, profile: Profile) -> None:
    url, other = many.unpack("one"), many.unpack("other")
    assert [many.load("one", place).status for place in (url, url, other)] == [200, 409, 409]
    assert json.loads(many.describe("one").text)["modelUrl"] == url
    assert many.invoke("one", rows(1), profile.accept).status == 200
    assert many.unload("one").status == 200
    assert many.load("one", other).status == 200


@pytest.mark.contract("MME-08")
def test_what_cannot_be_loaded_gets_an_error_that_says_why(many: ManyModels) -> None:
    url = many.unpack("empty")
    many.remove("empty")
    answers = [many.load("empty", url), many.endpoint.request("POST", "/models", {}, b"not JSON")]
    assert all(400 <= answer.status < 600 and answer.status not in {409, 507} for answer in answers)
    assert "empty" in answers[0].text
    assert many.names() == []


@pytest.mark.contract("MME-09", "MME-21")
def test_models_are_listed_page_by_page(many: ManyModels) -> None:
    url = many.unpack("one")
    names = [f"model-{number}" for number in range(5)]
    for name in names:
        assert many.load(name, url).status == 200
    assert sorted(many.names()) == names
    pages = many.pages(limit=2)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(model for page in pages for model in page) == [(name, url) for name in names]


@pytest.mark.contract("MME-13", "MME-14")
@pytest.mark.parametrize("name", ["with space", "with/slash", "..", "%2F%00", "\u00e4\u20ac", "f" * 500])
def test_a_name_may_hold_any_characters(many: ManyModels, rows: Rows, profile: Profile, name: str) -> None:
    assert many.load(name, many.unpack("one")).status == 200
    assert many.names() == [name]
    assert many.invoke(name, rows(1), profile.accept).status == 200
    assert many.unload(name).status == 200


@pytest.mark.contract("MME-19")
def test_loads_unloads_and_requests_run_at_the_same_time(
    many: ManyModels, rows: Rows, profile: Profile
) -> None:
    url = many.unpack("one")
    assert many.load("stays", url).status == 200
    with ThreadPoolExecutor(8) as clients:
        twice = [clients.submit(many.load, "twice", url) for _ in range(2)]
        asked = [clients.submit(many.invoke, "stays", rows(1), profile.accept) for _ in range(20)]
        others = [clients.submit(many.load, f"other-{number}", url) for number in range(3)]
        assert sorted(load.result().status for load in twice) == [200, 409]
        assert {load.result().status for load in others} == {200}
        gone = [clients.submit(many.unload, "twice") for _ in range(2)]
        assert sorted(unload.result().status for unload in gone) == [200, 404]
        assert {answer.result().status for answer in asked} == {200}
    assert sorted(many.names()) == ["other-0", "other-1", "other-2", "stays"]


@pytest.mark.contract("MME-20")
def test_models_with_code_of_their_own_do_not_meet(many: ManyModels, handlers: object) -> None:
    for name in ("left", "right"):
        files = {"code/inference.py": OWN_CODE, "code/helper.py": f"NAME = {name!r}"}
        assert many.load(name, many.unpack(name, files)).status == 200
    assert [many.invoke(name, b"0", "text/plain").text for name in ("left", "right")] == ["left", "right"]


@pytest.mark.contract("MME-11", "MME-19")
def test_an_unload_waits_for_the_requests_of_the_model(many: ManyModels, handlers: object) -> None:
    files = {"code/inference.py": OWN_CODE, "code/helper.py": "NAME = 'slow'"}
    assert many.load("slow", many.unpack("slow", files)).status == 200
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(many.invoke, "slow", b"1", "text/plain")
        eventually_logged(many.endpoint, "slow was asked")
        assert many.unload("slow").status == 200
        assert (answer.result().status, answer.result().text) == (200, "slow")
    assert many.describe("slow").status == 404


@pytest.mark.contract("MME-11")
@pytest.mark.needs("multi_model")
def test_the_memory_of_an_unloaded_model_is_there_for_the_next(
    image: str, model: Path, handlers: object, start_limit: float, tmp_path: Path
) -> None:
    around = Surroundings(binds=(Bind(tmp_path, PLACE, read_only=True),), memory=MEMORY)
    with Endpoint(image, environment=ENVIRONMENT, surroundings=around, start_limit=start_limit) as endpoint:
        little = ManyModels(endpoint, tmp_path, model)
        url = little.unpack("large", {"code/inference.py": LARGE})
        for name in ("first", "second", "third", "fourth", "fifth"):  # which do not fit all at one time
            loaded = little.load(name, url)
            assert loaded.status == 200, loaded.text
            assert little.unload(name).status == 200


@pytest.mark.contract("MME-07")
def test_a_model_that_does_not_fit_into_memory_gets_507_and_the_others_stay(
    many: ManyModels,
    image: str,
    model: Path,
    rows: Rows,
    profile: Profile,
    handlers: object,
    start_limit: float,
    tmp_path: Path,
) -> None:
    around = Surroundings(binds=(Bind(tmp_path, PLACE, read_only=True),), memory=MORE_MEMORY)
    with Endpoint(image, environment=ENVIRONMENT, surroundings=around, start_limit=start_limit) as endpoint:
        little = ManyModels(endpoint, tmp_path, model)
        assert little.load("one", little.unpack("one")).status == 200
        refused = little.load("hungry", little.unpack("hungry", {"code/inference.py": HUNGRY}))
        assert refused.status == 507, refused.text
        assert little.names() == ["one"]
        assert little.invoke("one", rows(1), profile.accept).status == 200
