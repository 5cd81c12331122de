"""What requests become, what answers hold, and handlers that say half of it."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.errors import RequestError
from opt_ml_pytorch.tensors import decode_tensor, encode_prediction
from PIL import Image

PUBLISHED = """
import json
import logging
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

logger = logging.getLogger(__name__)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return F.log_softmax(self.fc(x), dim=1)


def model_fn(model_dir):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Net().to(device)
    with open(os.path.join(model_dir, "model.pth"), "rb") as f:
        model.load_state_dict(torch.load(f))
    model.eval()
    return model


def input_fn(request_body, request_content_type):
    assert request_content_type == "application/json"
    data = json.loads(request_body)["inputs"]
    return torch.tensor(data, dtype=torch.float32)


def predict_fn(input_object, model):
    with torch.no_grad():
        return model(input_object)


def output_fn(predictions, content_type):
    assert content_type == "application/json"
    return json.dumps(predictions.cpu().numpy().tolist())
"""


def npy(values):
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


@pytest.fixture
def scripted(net, model_dir, serve):
    torch.jit.script(net.eval()).save(model_dir / "model.pt")
    return serve()


@pytest.mark.contract("HANDLER-08", "HANDLER-30")
@pytest.mark.parametrize(
    ("body", "content_type", "values", "dtype"),
    [
        (b"[1, 2]", "application/json", [1, 2], torch.float32),
        (b"[[1, 2], [3, 4]]", "application/json", [[1, 2], [3, 4]], torch.float32),
        (b"[[[1], [2]], [[3], [4]]]", "application/json", [[[1], [2]], [[3], [4]]], torch.float32),
        (b'{"inputs": [[1, 2]]}', "application/json", [[1, 2]], torch.float32),
        (b'{"instances": [[1, 2]]}', "application/json", [[1, 2]], torch.float32),
        (b'[{"a": 1, "b": 2}]', "application/json; charset=utf-8", [[1, 2]], torch.float32),
        (b"1,2\n3,4\n", "text/csv", [[1, 2], [3, 4]], torch.float32),
        (b"1,2\n", "text/csv", [[1, 2]], torch.float32),
        (b"[1, 2]\n[3, 4]\n", "application/jsonlines", [[1, 2], [3, 4]], torch.float32),
        (npy(np.array([[1, 2]])), "application/x-npy", [[1, 2]], torch.int64),
        (npy(np.array([[1, 2]], ">f4")), "application/x-npy", [[1, 2]], torch.float32),
        (npy(np.array([[1, 2]])), "application/octet-stream", [[1, 2]], torch.int64),
        (b"[[1, 2]]", "", [[1, 2]], torch.float32),
    ],
)
def test_a_request_becomes_a_tensor(body, content_type, values, dtype):
    tensor = decode_tensor(body, content_type)
    assert tensor.tolist() == values
    assert tensor.dtype == dtype
    tensor += 1  # it may be written to


@pytest.mark.parametrize(
    ("body", "content_type", "status", "names"),
    [
        (b"1,two\n", "text/csv", 400, ["Row 1, column 2", "two"]),
        (b"[[1, 2], [3]]", "application/json", 400, ["Row 2"]),
        (b"[[1, 2]", "application/json", 400, ["JSON"]),
        (b"[]", "application/json", 400, []),
        (b"", "text/csv", 400, []),
        (b"x", "application/x-unknown", 415, ["application/x-unknown"]),
        (npy(np.array(["a"])), "application/x-npy", 400, ["'a'"]),
        (npy(np.zeros((0, 4))), "application/x-npy", 400, ["no record"]),
        (npy(np.array([[None]], dtype=object)), "application/x-npy", 400, ["never pickles"]),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png", 400, ["image/png"]),
    ],
)
def test_a_body_that_is_no_tensor_is_refused_with_the_place(body, content_type, status, names):
    with pytest.raises(RequestError) as caught:
        decode_tensor(body, content_type)
    assert caught.value.status == status
    assert [name for name in names if name not in caught.value.message] == []


@given(st.binary(max_size=64), st.sampled_from(["application/json", "text/csv", "application/x-npy", ""]))
def test_any_body_is_a_tensor_or_refused(body, content_type):
    try:
        decoded = decode_tensor(body, content_type)
    except RequestError as error:
        assert 400 <= error.status < 500
    else:
        assert isinstance(decoded, torch.Tensor | dict)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
        max_leaves=8,
    )
)
def test_any_json_is_a_tensor_or_refused(content):
    try:
        decoded = decode_tensor(json.dumps(content).encode(), "application/json")
    except RequestError as error:
        assert 400 <= error.status < 500
    else:
        assert isinstance(decoded, torch.Tensor | dict)


@pytest.mark.contract("HANDLER-08", "HOST-57")
def test_an_answer_has_the_type_that_was_asked_for(scripted, ask, expected):
    rows = [[1.0, 2.0, 3.0, 4.0], [0.5, 0.0, 1.0, 0.0]]
    wanted = expected(rows).numpy()
    body = json.dumps(rows)
    for accept in (None, "*/*", "application/json"):
        answer = ask(scripted, body, "application/json", accept)
        assert answer.content_type == "application/json"
        assert np.allclose(json.loads(answer.body), wanted)
    lines = ask(scripted, body, "application/json", "text/csv").body.decode().splitlines()
    assert np.allclose([[float(field) for field in line.split(",")] for line in lines], wanted)
    array = np.load(io.BytesIO(ask(scripted, body, "application/json", "application/x-npy").body))
    assert np.allclose(array, wanted)
    assert array.dtype == np.float32
    assert ask(scripted, body, "application/json", "image/png").status == 406


def test_a_prediction_of_any_shape_has_json_and_one_tensor_of_any_shape_npy():
    deep = torch.arange(8).reshape(2, 2, 2)
    assert json.loads(encode_prediction(deep, "*/*")[0]) == deep.tolist()
    assert np.load(io.BytesIO(encode_prediction(deep, "application/x-npy")[0])).tolist() == deep.tolist()
    named = {"logits": torch.ones(2, dtype=torch.bfloat16), "hidden": (torch.zeros(1),)}
    assert json.loads(encode_prediction(named, "*/*")[0]) == {"logits": [1, 1], "hidden": [[0]]}
    assert encode_prediction(torch.tensor(0.5), "text/csv")[0] == b"0.5\n"
    for prediction in (deep, named):
        with pytest.raises(RequestError) as caught:
            encode_prediction(prediction, "text/csv")
        assert caught.value.status == 406


def test_float64_without_meaning_it_is_no_error(scripted, ask):
    assert ask(scripted, npy(np.ones((1, 4))), "application/x-npy").status == 200


@pytest.mark.parametrize("kind", ["scripted", "exported", "eager"])
def test_an_input_of_another_width_is_the_clients_mistake(kind, net, model_dir, serve, ask):
    code = None
    if kind == "scripted":
        torch.jit.script(net.eval()).save(model_dir / "model.pt")
    elif kind == "exported":
        rows = torch.export.Dim("rows")
        program = torch.export.export(net.eval(), (torch.zeros(3, 4),), dynamic_shapes=({0: rows},))
        torch.export.save(program, model_dir / "model.pt2")
    else:
        torch.save(net.state_dict(), model_dir / "model.pth")
        code = {"inference.py": PUBLISHED.split("def input_fn")[0].replace("Linear(4, 2)", "Linear(4, 3)")}
        state = {f"fc.{name}": value for name, value in torch.nn.Linear(4, 3).state_dict().items()}
        torch.save(state, model_dir / "model.pth")
    model = serve(code)
    assert ask(model, "1,2,3,4\n", "text/csv").status == 200
    answer = ask(model, "1,2,3\n", "text/csv")
    assert answer.status == 400
    assert "(1, 3)" in json.loads(answer.body)["error"]
    assert len(json.loads(answer.body)["error"]) < 700


@pytest.mark.contract("HANDLER-01", "HANDLER-02", "HANDLER-03", "HANDLER-07")
def test_a_published_handler_runs_unchanged(model_dir, serve, ask):
    layer = torch.nn.Linear(4, 2)
    torch.save({f"fc.{name}": value for name, value in layer.state_dict().items()}, model_dir / "model.pth")
    answer = ask(serve({"inference.py": PUBLISHED}), '{"inputs": [[1, 2, 3, 4]]}', "application/json")
    assert answer.status == 200, answer.body
    probabilities = np.exp(json.loads(answer.body))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.contract("HANDLER-03", "HANDLER-30")
def test_a_model_fn_alone_has_the_tensors_and_answers_of_the_image(model_dir, serve, ask):
    model_fn = PUBLISHED.split("def input_fn")[0].replace("    model.eval()\n", "")
    torch.save({"fc.weight": torch.zeros(2, 4), "fc.bias": torch.zeros(2)}, model_dir / "model.pth")
    answer = ask(serve({"inference.py": model_fn}), "1,2,3,4\n", "text/csv", "application/json")
    assert np.allclose(json.loads(answer.body), [[np.log(0.5)] * 2])


@pytest.mark.contract("HANDLER-03", "HANDLER-42")
def test_a_predict_fn_alone_gets_the_model_of_the_image(net, model_dir, serve, ask):
    torch.jit.script(net.eval()).save(model_dir / "model.pt")
    code = (
        "import torch\n"
        "def predict_fn(data, model, context):\n"
        "    if isinstance(data, dict):\n"
        "        return data['inputs']\n"
        "    with torch.no_grad():\n"
        "        return model(data).argmax(dim=1)\n"
    )
    model = serve({"inference.py": code})
    assert json.loads(ask(model, "1,2,3,4\n", "text/csv").body) in ([0], [1], [2])
    assert ask(model, '{"inputs": "a text"}', "application/json").body == b'"a text"'


def test_what_a_model_gets_needs_no_gradient(model_dir, serve, ask):
    code = (
        "import torch\n"
        "def model_fn(model_dir):\n"
        "    return lambda data: torch.tensor([data.requires_grad, torch.is_inference_mode_enabled()])\n"
    )
    assert ask(serve({"inference.py": code}), "[1]", "application/json").body == b"[false,true]"


OF_HUGGING_FACE = """
import numpy
from sagemaker_huggingface_inference_toolkit import content_types, decoder_encoder

def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    picture = decoder_encoder.decode(data, content_type)["inputs"]
    if accept in content_types.VISION_TYPES:
        return decoder_encoder.encode(picture.transpose(0), accept)
    return decoder_encoder.encode({"mode": picture.mode, "pixels": numpy.asarray(picture)}, accept)
"""


def test_a_handler_of_the_hugging_face_toolkit_gets_and_returns_pictures(serve, ask):
    stream = io.BytesIO()
    Image.fromarray(np.array([[[9, 8, 7], [1, 2, 3]]], dtype=np.uint8)).save(stream, format="PNG")
    model = serve({"inference.py": OF_HUGGING_FACE})
    told = ask(model, stream.getvalue(), "image/x-image", "application/json")
    assert json.loads(told.body) == {"mode": "RGB", "pixels": [[[9, 8, 7], [1, 2, 3]]]}
    turned = ask(model, stream.getvalue(), "image/png", "image/png")
    assert np.asarray(Image.open(io.BytesIO(turned.body))).tolist() == [[[1, 2, 3], [9, 8, 7]]]
    assert ask(model, b"no picture", "image/png", "application/json").status == 400
