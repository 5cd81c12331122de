"""A script written for AWS's AutoGluon image, model_fn and transform_fn, runs as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.endpoints import Handlers
from toolkit.serving.endpoint import Endpoint

REQUESTS = 40
pytestmark = pytest.mark.needs("autogluon_handlers")


@pytest.fixture(scope="module")
def transforming(handlers: Handlers) -> Iterator[Endpoint]:
    """Serves handlers/transform.py."""
    with handlers.serve("transform.py", {"weights.json": '{"bias": 3}'}) as running:
        yield running


@pytest.mark.contract("AG-04", "AG-14", "HANDLER-04", "HANDLER-12")
@pytest.mark.parametrize("content_type", ["text/csv", "application/x-bytes"])
def test_transform_fn_may_return_text_or_bytes_with_their_type(
    content_type: str, transforming: Endpoint
) -> None:
    response = transforming.invoke(b"1,2\n", content_type, "application/json")
    assert (response.status, response.media_type) == (200, "application/json")
    assert json.loads(response.body)["bias"] == 3


@pytest.mark.contract("AG-06")
@pytest.mark.parametrize(
    ("content_type", "body_type"),
    [
        ("text/csv", "str"),
        ("application/json", "str"),
        ("application/jsonl", "str"),
        ("application/x-autogluon", "str"),
        ("application/x-parquet", "bytes"),
    ],
)
def test_transform_fn_gets_text_for_text(content_type: str, body_type: str, transforming: Endpoint) -> None:
    assert json.loads(transforming.invoke(b"1,2", content_type).body)["body_type"] == body_type


@pytest.mark.contract("AG-07")
def test_types_that_are_left_out_are_json(transforming: Endpoint) -> None:
    told = json.loads(transforming.invoke(b"1,2", None).body)
    assert (told["input_content_type"], told["output_content_type"]) == ("application/json",) * 2


@pytest.mark.contract("AG-08")
def test_a_value_error_is_400_and_a_bug_500(transforming: Endpoint) -> None:
    bad = transforming.invoke(b"bad", "text/csv")
    assert (bad.status, "column age is missing" in bad.text) == (400, True)
    assert transforming.invoke(b"bug", "text/csv").status == 500
    assert transforming.invoke(b"good", "text/csv").status == 200


@pytest.mark.contract("AG-09", "MHCS-06")
@pytest.mark.parametrize("level", ["INFO", "20"])
def test_the_variables_of_the_image_are_understood(level: str, handlers: Handlers) -> None:
    environment = {
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "60",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": level,
        "SAGEMAKER_BIND_TO_PORT": "8181",
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv",
    }
    served = handlers.serve("transform.py", {"weights.json": '{"bias": 3}'}, environment=environment)
    with served, ThreadPoolExecutor(8) as pool:
        answers = [json.loads(one.body) for one in pool.map(served.invoke, [b"1"] * REQUESTS)]
    assert {answer["output_content_type"] for answer in answers} == {"text/csv"}
    assert len({answer["process"] for answer in answers}) == 1, "there is more than one worker"


@pytest.mark.contract("AG-09", "MHCS-06")
@pytest.mark.needs("log_level")
@pytest.mark.parametrize(("usual", "errors"), [("INFO", "ERROR"), ("20", "40")], ids=["name", "number"])
def test_good_requests_have_no_line_where_only_errors_are_wanted(
    usual: str, errors: str, handlers: Handlers
) -> None:
    lines = []
    for level in (usual, errors):
        environment = {"SAGEMAKER_CONTAINER_LOG_LEVEL": level}
        with handlers.serve(
            "transform.py", {"weights.json": '{"bias": 3}'}, environment=environment
        ) as served:
            for _ in range(REQUESTS):
                assert served.invoke(b"1", "text/csv").status == 200
            served.stop()  # by then each line is out
            lines.append(len(served.logs().splitlines()))
    assert lines[0] - lines[1] > REQUESTS / 2
