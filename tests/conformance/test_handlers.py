"""A model that brings its own inference.py: which functions it may have, what they get and may return."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from tests.conformance.endpoints import HANDLERS, Handlers, eventually_logged
from toolkit.serving.endpoint import Bind, Endpoint, EndpointError, Surroundings

ADDITIONAL = "/opt/ml/additional-model-data-sources/draft"


@pytest.fixture(scope="module")
def additional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A further model that the platform lays beside the first."""
    directory = tmp_path_factory.mktemp("additional")
    (directory / "draft.txt").write_text("a small one")
    return directory


@pytest.fixture(scope="module")
def telling(handlers: Handlers, additional: Path) -> Iterator[Endpoint]:
    """Serves handlers/facts.py."""
    with handlers.serve(
        "facts.py",
        {"code/beside.py": "VALUE = 7\n", "weights/first.bin": b"1"},
        environment={"CALLERS_OWN": "a 'quoted' = value\nof two lines", "AWS_REGION": "eu-west-1"},
        surroundings=Surroundings(
            hostname="the-container", binds=(Bind(additional, ADDITIONAL, read_only=True),)
        ),
    ) as running:
        yield running


def facts(
    endpoint: Endpoint, body: bytes = b"1,2", content_type: str | None = "text/csv", **more: Any
) -> Any:
    response = endpoint.invoke(body, content_type, **more)
    assert response.status == 200, f"{response.text}\n{endpoint.logs()}"
    assert response.media_type == "application/json"
    return json.loads(response.body)


@pytest.mark.contract("HANDLER-01", "HANDLER-03", "HANDLER-12", "HOST-24")
def test_the_functions_of_the_model_are_used_and_find_the_files_beside_them(telling: Endpoint) -> None:
    told = facts(telling)
    assert told["beside"] == 7
    assert told["model_dir"] == "/opt/ml/model"
    assert told["files"] == ["code", "weights"]


@pytest.mark.contract("HOST-09", "HOST-14", "HOST-15", "HOST-16", "HOST-26")
def test_a_handler_sees_the_surroundings_that_the_platform_makes(telling: Endpoint) -> None:
    told = facts(telling)
    assert told["environment"]["CALLERS_OWN"] == "a 'quoted' = value\nof two lines"
    assert told["environment"]["AWS_REGION"] == "eu-west-1"
    assert [name for name in told["environment"] if name.startswith("SM_")] == []
    assert told["hostname"] == "the-container"
    assert told["shared_memory"] == pytest.approx(memory_of_this_machine() / 2, rel=0.01)
    assert told["scratch"] == ["/tmp", "/var/tmp", "/root"]
    assert told["additional"] == {f"{ADDITIONAL}/draft.txt": "a small one"}


def memory_of_this_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.contract("HANDLER-07", "AG-06")
@pytest.mark.parametrize(
    ("content_type", "body_type"),
    [
        ("text/csv", "str"),
        ("text/plain; charset=utf-8", "str"),
        ("application/json", "str"),
        ("application/jsonl", "str"),
        ("application/x-npy", "bytes"),
        ("image/png", "bytes"),
    ],
)
def test_text_comes_as_text_and_all_else_as_bytes(
    content_type: str, body_type: str, telling: Endpoint
) -> None:
    told = facts(telling, "grün".encode(), content_type)
    assert told["body_type"] == body_type
    assert told["body"] == ("grün" if body_type == "str" else "grün".encode().hex())
    assert told["content_type"] == content_type


@pytest.mark.contract("HANDLER-11", "AG-07", "HOST-57")
def test_types_that_the_client_leaves_out_are_json(telling: Endpoint) -> None:
    assert facts(telling, b"[1]", None)["content_type"] == "application/json"
    assert facts(telling, accept=None)["accept"] == "application/json"
    assert facts(telling, accept="*/*")["accept"] == "application/json"
    assert facts(telling, accept="text/csv")["accept"] == "text/csv"


@pytest.mark.contract("HANDLER-05", "HOST-34", "HOST-59", "HOST-60")
def test_a_context_knows_the_headers_and_sets_those_of_the_answer(telling: Endpoint) -> None:
    headers = {
        "X-Amzn-SageMaker-Custom-Attributes": "trace=1",
        "X-Amzn-SageMaker-Inference-Id": "id-1",
        "X-Wanted": "trace=2",
    }
    response = telling.invoke(b"1", "text/csv", headers=headers)
    told = json.loads(response.body)
    assert told["headers"]["x-amzn-sagemaker-custom-attributes"] == "trace=1"
    assert told["request"] == "id-1"
    assert response.headers["x-amzn-sagemaker-custom-attributes"] == "trace=2"


@pytest.mark.contract("HOST-13")
def test_what_a_handler_prints_is_a_line_of_the_log(telling: Endpoint) -> None:
    facts(telling)
    for text in ("facts.py loads", "facts.py answers"):
        eventually_logged(telling, text)


@pytest.fixture(scope="module")
def doubling(handlers: Handlers) -> Iterator[Endpoint]:
    """Serves handlers/default_steps.py."""
    with handlers.serve("default_steps.py") as running:
        yield running


def npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(values))
    return buffer.getvalue()


@pytest.mark.contract("HANDLER-03", "HANDLER-08", "PIPE-11")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", b"1,2\n3,4\n"),
        ("application/json", b"[[1, 2], [3, 4]]"),
        ("application/jsonlines", b"[1, 2]\n[3, 4]\n"),
        ("application/x-npy", npy([[1, 2], [3, 4]])),
    ],
    ids=["csv", "json", "jsonlines", "npy"],
)
def test_the_defaults_take_and_give_csv_json_and_npy(
    content_type: str, body: bytes, doubling: Endpoint
) -> None:
    doubled = [[2, 4], [6, 8]]
    assert json.loads(doubling.invoke(body, content_type, "application/json").body) == doubled
    text = doubling.invoke(body, content_type, "text/csv").text
    assert [[float(field) for field in line.split(",")] for line in text.split()] == doubled
    array = np.load(
        io.BytesIO(doubling.invoke(body, content_type, "application/x-npy").body), allow_pickle=False
    )
    assert array.tolist() == doubled


@pytest.mark.contract("HANDLER-09", "HANDLER-10", "HANDLER-50")
def test_the_defaults_refuse_other_types_and_bad_bodies_by_status(doubling: Endpoint) -> None:
    assert doubling.invoke(b"x", "application/x-unknown").status == 415
    assert doubling.invoke(b"1,2", "text/csv", "image/x-unknown").status == 406
    assert doubling.invoke(b"[1, 2", "application/json").status == 400
    assert doubling.invoke(b"\x93NUMPY\x01", "application/x-npy").status == 400


@pytest.mark.contract("HOST-43", "HOST-46", "AG-10")
def test_ping_tells_when_a_slow_model_is_there(handlers: Handlers) -> None:
    with handlers.serve("slow_to_load.py", wait=False) as starting:
        starting.wait_until_healthy()
        assert starting.started_in >= 3
        assert starting.invoke(b"", "text/csv").text == "loaded"


@pytest.mark.contract("HANDLER-01", "AG-03")
def test_the_program_may_have_another_name(handlers: Handlers) -> None:
    text = (HANDLERS / "doubles.py").read_text()
    for name in ("mine.py", "deeper/mine.py"):
        with handlers.serve(None, {f"code/{name}": text}, environment={"SAGEMAKER_PROGRAM": name}) as named:
            assert named.invoke(b"[[4]]", "application/json").text == "[[8.0]]"


BROKEN = {
    "both-kinds": (
        None,
        "def model_fn(d): ...\ndef transform_fn(m, b, c, a): ...\ndef input_fn(b, c): ...\n",
        "transform_fn",
    ),
    "syntax": (None, "def model_fn(d)\n    return 1\n", "inference.py"),
    "import": (None, "import no_such_package\ndef model_fn(d):\n    return 1\n", "no_such_package"),
    "raises": (None, "def model_fn(d):\n    raise OSError('weights are gone')\n", "weights are gone"),
    "program": ({"SAGEMAKER_PROGRAM": "other.py"}, "def model_fn(d):\n    return 1\n", "other.py"),
    "workers": ({"SAGEMAKER_MODEL_SERVER_WORKERS": "none"}, "def model_fn(d):\n    return 1\n", "WORKERS"),
}


@pytest.mark.contract("HANDLER-02", "HANDLER-04", "HOST-43", "AG-05", "AG-15")
@pytest.mark.parametrize(("environment", "program", "cause"), BROKEN.values(), ids=BROKEN)
def test_a_handler_that_cannot_work_ends_the_start_and_says_why(
    environment: dict[str, str] | None, program: str, cause: str, handlers: Handlers
) -> None:
    with pytest.raises(EndpointError) as caught, handlers.serve(program, environment=environment):
        pass
    assert cause in str(caught.value)


@pytest.mark.contract("LOCAL-26", "LOCAL-13")
@pytest.mark.parametrize("mounted", [".", "code"], ids=["torchserve", "multi-model-server"])
def test_the_code_is_found_where_sdk_3_mounts_it(mounted: str, image: str, handlers: Handlers) -> None:
    model = handlers.model("doubles.py")
    # What its ModelBuilder tells `docker run IMAGE serve`, for the two model servers that it knows.
    environment = {
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_PROGRAM": "inference.py",
        "LOCAL_PYTHON": "3.11.7",
    }
    with Endpoint(image, model / mounted, environment=environment) as served:
        assert served.invoke(b"[[4]]", "application/json").text == "[[8.0]]"


@pytest.mark.contract("HANDLER-51", "BATCH-03")
def test_execution_parameters_count_the_workers(handlers: Handlers) -> None:
    environment = {"SAGEMAKER_MODEL_SERVER_WORKERS": "3"}
    with handlers.serve("doubles.py", environment=environment) as served:
        answer = served.request("GET", "/execution-parameters")
    assert (answer.status, json.loads(answer.body)["MaxConcurrentTransforms"]) == (200, 3)


@pytest.mark.contract("HANDLER-15")
def test_as_many_workers_as_asked_for_answer_at_once(handlers: Handlers) -> None:
    meeting = """
        import os, pathlib, time
        ROOM = pathlib.Path("/tmp/room")
        def model_fn(model_dir):
            ROOM.mkdir(exist_ok=True)
            return 1
        def transform_fn(model, body, content_type, accept):
            (ROOM / str(os.getpid())).touch()
            while len(list(ROOM.iterdir())) < 3:
                time.sleep(0.01)
            return str(os.getpid())
    """
    environment = {"SAGEMAKER_MODEL_SERVER_WORKERS": "3"}
    with handlers.serve(dedent(meeting), environment=environment) as served, ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: served.invoke(b"", "text/csv").text, range(3)))
        assert len(set(answers)) == 3
