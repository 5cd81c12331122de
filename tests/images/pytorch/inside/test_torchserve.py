"""Handlers that were written for TorchServe, on the native server."""

from __future__ import annotations

import json

import pytest
import torch
from opt_ml.errors import UserError
from opt_ml.serving.invocation import Request

from tests.images.pytorch.inside.conftest import NETWORK

INFERENCE = """
from opt_ml_pytorch.torchserve import input_fn, model_fn, output_fn, predict_fn
from opt_ml_pytorch.torchserve import _predict_batch_fn as predict_batch_fn
"""
EXTENDS = """
import torch
from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import PredictionException, map_class_to_label

class Mine(BaseHandler):
    calls = []
    last = None

    def preprocess(self, data):
        Mine.last = self
        rows = [item.get("data") or item.get("body") for item in data]
        self.calls.append(len(rows))
        rows = [row["rows"] if isinstance(row, dict) else row for row in rows]
        if any(row == "bad" for row in rows):
            raise PredictionException("no such row", 422)
        return torch.as_tensor(rows, device=self.device, dtype=torch.float32)

    def postprocess(self, data):
        return map_class_to_label(torch.softmax(data, dim=1).tolist(), self.mapping)
"""
FUNCTION = """
state = {}

def handle(data, context):
    if data is None:
        state["model"] = context.manifest["model"]["modelName"]
        return None
    for place, item in enumerate(data):
        context.set_response_header(place, "x-seen", context.get_request_header(place, "X-Sent") or "nothing")
        context.set_response_content_type(place, "text/plain")
    return [f"{state['model']}:{type(item['body']).__name__}:{len(item['body'])}" for item in data]
"""


@pytest.fixture
def archive(model_dir):
    """A function that writes an unpacked archive with code/inference.py."""

    def write(source, **described):
        (model_dir / "MAR-INF").mkdir(exist_ok=True)
        (model_dir / "mine.py").write_text(source)
        model = {"modelName": "tiny", "handler": "mine.py", **described}
        (model_dir / "MAR-INF" / "MANIFEST.json").write_text(json.dumps({"model": model}))
        (model_dir / "code").mkdir(exist_ok=True)
        (model_dir / "code" / "inference.py").write_text(INFERENCE)

    return write


@pytest.fixture(autouse=True)
def apart(monkeypatch, model_dir):
    """Each archive has modules and a working directory of its own."""
    import sys

    import opt_ml_pytorch.torchserve as functions

    monkeypatch.chdir(model_dir)
    monkeypatch.setattr(functions, "_MOST_REQUESTS", 4)
    yield
    for name in ("mine", "network_of_archive"):
        sys.modules.pop(name, None)


def request(rows, **headers):
    return Request(json.dumps({"rows": rows}).encode(), "application/json", None, headers)


def test_a_base_handler_with_torchscript_and_labels(net, model_dir, archive, serve, expected):
    torch.jit.script(net.eval()).save(model_dir / "weights.pt")
    (model_dir / "index_to_name.json").write_text('{"0": "cat", "1": ["n1", "dog"], "2": "cow"}')
    archive(EXTENDS, serializedFile="weights.pt")
    model = serve()
    answer = model.run(model.answer(request([1, 2, 3, 4])))
    assert answer.status == 200, answer.body
    assert answer.content_type == "application/json"
    probabilities = torch.softmax(expected([[1, 2, 3, 4]]), dim=1)[0].tolist()
    assert json.loads(answer.body) == pytest.approx(
        dict(zip(("cat", "dog", "cow"), probabilities, strict=True))
    )


def test_weights_with_the_class_of_the_archive(net, model_dir, archive, serve, expected):
    torch.save(net.state_dict(), model_dir / "weights.pth")
    (model_dir / "network_of_archive.py").write_text(NETWORK)
    archive(EXTENDS, serializedFile="weights.pth", modelFile="network_of_archive.py")
    model = serve()
    answer = json.loads(model.run(model.answer(request([1, 2, 3, 4]))).body)
    assert list(answer.values()) == pytest.approx(torch.softmax(expected([[1, 2, 3, 4]]), dim=1)[0].tolist())


@pytest.mark.parametrize(
    ("config", "is_compiled"),
    [
        ("pt2: aot_eager", True),
        ("pt2: {backend: aot_eager}", True),
        ("pt2: {compile: {enable: true, backend: aot_eager}}", True),
        ("pt2: {compile: {enable: false, backend: aot_eager}}", False),
        ("pt2: {export: {aot_compile: true}}", False),
        ("batchSize: 4", False),
    ],
)
def test_pt2_of_the_configuration_has_the_model_compiled(
    config, is_compiled, net, model_dir, archive, serve, expected
):
    torch.save(net.state_dict(), model_dir / "weights.pth")
    (model_dir / "network_of_archive.py").write_text(NETWORK)
    (model_dir / "model-config.yaml").write_text(config)
    described = {"modelFile": "network_of_archive.py", "configFile": "model-config.yaml"}
    archive(EXTENDS, serializedFile="weights.pth", **described)
    model = serve()
    answer = json.loads(model.run(model.answer(request([1, 2, 3, 4]))).body)
    assert list(answer.values()) == pytest.approx(torch.softmax(expected([[1, 2, 3, 4]]), dim=1)[0].tolist())
    import mine

    assert isinstance(mine.Mine.last.model, torch._dynamo.OptimizedModule) == is_compiled


def test_pt2_without_a_compiler_is_told_and_passed_over(
    net, model_dir, archive, serve, expected, monkeypatch, caplog
):
    monkeypatch.setenv("CXX", "")
    monkeypatch.setenv("PATH", "/nowhere")
    torch.save(net.state_dict(), model_dir / "weights.pth")
    (model_dir / "network_of_archive.py").write_text(NETWORK)
    (model_dir / "model-config.yaml").write_text("pt2: inductor")
    described = {"modelFile": "network_of_archive.py", "configFile": "model-config.yaml"}
    archive(EXTENDS, serializedFile="weights.pth", **described)
    model = serve()
    answer = json.loads(model.run(model.answer(request([1, 2, 3, 4]))).body)
    assert list(answer.values()) == pytest.approx(torch.softmax(expected([[1, 2, 3, 4]]), dim=1)[0].tolist())
    assert "needs a C++ compiler" in caplog.text


@pytest.mark.parametrize("is_wanted", [True, False])
def test_methods_are_timed_where_the_configuration_asks_for_it(
    is_wanted, net, model_dir, archive, serve, caplog
):
    torch.jit.script(net.eval()).save(model_dir / "weights.pt")
    (model_dir / "model-config.yaml").write_text(f"handler: {{profile: {str(is_wanted).lower()}}}")
    timed = EXTENDS.replace("    def postprocess", "    @timed\n    def postprocess")
    source = f"from ts.handler_utils.timer import timed\n{timed}"
    archive(source, serializedFile="weights.pt", configFile="model-config.yaml")
    model = serve()
    with caplog.at_level("DEBUG", logger="opt_ml_pytorch.torchserve"):
        assert model.run(model.answer(request([1, 2, 3, 4]))).status == 200
    assert ("ts_handler_postprocess=" in caplog.text) == is_wanted


def test_the_sequence_of_a_request_is_in_its_header(net, model_dir, archive, serve):
    archive(FUNCTION.replace("{type(item['body']).__name__}", "{context.get_sequence_id(place)}"))
    model = serve()
    assert model.run(model.answer(request([1], ts_request_sequence_id="a7"))).body == b"tiny:a7:1"


def test_requests_that_arrive_together_are_one_list_for_the_handler(net, model_dir, archive, serve):
    torch.jit.script(net.eval()).save(model_dir / "weights.pt")
    archive(EXTENDS, serializedFile="weights.pt")
    model = serve()
    requests = [request([number, 0, 0, 0]) for number in range(6)]
    together = model.run(model.answer_together(requests))
    alone = [model.run(model.answer(one)) for one in requests]
    for one, other in zip(together, alone, strict=True):
        assert one.status == 200
        assert list(json.loads(one.body).values()) == pytest.approx(list(json.loads(other.body).values()))
    import mine

    assert mine.Mine.calls[:2] == [4, 2]


def test_a_handler_chooses_the_status_of_its_error(net, model_dir, archive, serve):
    torch.jit.script(net.eval()).save(model_dir / "weights.pt")
    archive(EXTENDS, serializedFile="weights.pt")
    model = serve()
    bad, good = request("bad"), request([1, 2, 3, 4])
    answer = model.run(model.answer(bad))
    assert (answer.status, json.loads(answer.body)["error"]) == (422, "no such row")
    assert [one.status for one in model.run(model.answer_together([bad, good]))] == [422, 200]


def test_a_function_as_handler_has_its_context(archive, serve):
    archive(FUNCTION)
    model = serve()
    requests = [
        Request(b"\x00\x01", "application/octet-stream", None, {"x-sent": "first"}),
        Request(b"plain", "text/plain", None, {}),
        Request(b'{"a": 1}', "application/json", None, {}),
        Request(b"{no json", "application/json", None, {}),
    ]
    for answers in (
        [model.run(model.answer(one)) for one in requests],
        model.run(model.answer_together(requests)),
    ):
        assert [answer.body for answer in answers] == [
            b"tiny:bytearray:2",
            b"tiny:bytearray:5",
            b"tiny:dict:1",
            b"tiny:bytearray:8",
        ]
        assert {answer.content_type for answer in answers} == {"text/plain"}
        assert [dict(answer.headers)["x-seen"] for answer in answers] == ["first", *["nothing"] * 3]


def test_the_configuration_reaches_the_handler(model_dir, archive, serve, ask):
    (model_dir / "model-config.yaml").write_text("handler:\n  words: [a, b]\n")
    handler = "def handle(data, context):\n    return data and [context.model_yaml_config['handler']]\n"
    archive(handler, configFile="model-config.yaml")
    assert json.loads(ask(serve(), b"", "text/plain").body) == {"words": ["a", "b"]}


def test_an_answer_too_few_is_told(archive, serve, ask):
    archive("def handle(data, context):\n    return []\n")
    answer = ask(serve(), b"", "text/plain")
    assert answer.status == 500
    assert b"0 answers for 1 requests" in answer.body


@pytest.mark.parametrize(
    ("handler", "described", "cause"),
    [
        ("x = 1\n", {}, "must define one class"),
        (FUNCTION, {"handler": "image_classifier"}, "torchvision"),
        (FUNCTION, {"handler": "other.py"}, "other.py"),
        (FUNCTION, {"handler": ""}, "names no handler"),
        (FUNCTION, {"configFile": "missing.yaml"}, "missing.yaml"),
    ],
)
def test_an_archive_that_cannot_be_served_is_told(handler, described, cause, archive, serve):
    archive(handler, **described)
    with pytest.raises(UserError) as caught:
        serve()
    assert cause in str(caught.value)


def test_a_directory_that_is_no_archive_is_told(model_dir, serve):
    with pytest.raises(UserError, match=r"MANIFEST\.json does not exist"):
        serve({"inference.py": INFERENCE})
