"""Handlers as people wrote them for the AWS toolkits run as they are."""

from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest

# The serving half of AWS's published example of scikit-learn in an inference pipeline, reduced.
SKLEARN = """
import io
import json
import os
from sagemaker_containers.beta.framework import (
    content_types, encoders, env, modules, transformer, worker)

def input_fn(input_data, content_type):
    if content_type == "text/csv":
        return encoders.decode(input_data, content_type)
    raise ValueError("{} not supported by script!".format(content_type))

def output_fn(prediction, accept):
    if accept == "application/json":
        instances = [{"features": row.tolist()} for row in prediction]
        return worker.Response(json.dumps({"instances": instances}), mimetype=accept)
    elif accept == content_types.CSV:
        return worker.Response(encoders.encode(prediction, accept), mimetype=accept)
    elif accept == "text/teapot":
        return worker.Response("short and stout", status=418, headers={"X-Handle": "here"}, mimetype=accept)
    raise RuntimeError("{} accept type is not supported by this script.".format(accept))

def predict_fn(input_data, model):
    return model * input_data.reshape(-1, 2)

def model_fn(model_dir):
    return 2
"""

TOOLKIT = """
from sagemaker_inference import content_types, decoder, encoder, errors

LOADED = []

def pre_model_fn(model_dir):
    LOADED.append("before")

def model_fn(model_dir):
    LOADED.append("model")
    return LOADED

def model_warmup_fn(model_dir, model, context):
    assert model is LOADED and context.system_properties["model_dir"] == model_dir
    LOADED.append("warm")

def input_fn(body, content_type):
    return decoder.decode(body, content_type)

def predict_fn(data, model):
    if data.ravel()[0] < 0:
        raise errors.BaseInferenceToolkitError(422, "No negative numbers.", "Unprocessable")
    return {"sum": data.sum(), "loaded": model}

def output_fn(prediction, accept):
    if accept == content_types.CSV:
        return encoder.encode([[prediction["sum"]]], accept)
    return encoder.encode(prediction, accept)
"""

# As many an inference.py imports all of it, after AWS's own default handler, and as some extend that.
EXTENDS = """
from sagemaker_inference import content_types, decoder, default_inference_handler, encoder, errors, utils

class Handler(default_inference_handler.DefaultInferenceHandler):
    def default_model_fn(self, model_dir): return 2

handler = Handler()
model_fn, input_fn = handler.default_model_fn, handler.default_input_fn

def predict_fn(data, model): return data * model

def output_fn(prediction, accept):
    for content_type in utils.parse_accept(accept):
        if content_type in encoder.SUPPORTED_CONTENT_TYPES:
            return handler.default_output_fn(prediction, content_type)
    raise errors.UnsupportedFormatError(accept)
"""

HUGGING_FACE = """
import datetime
import numpy
from sagemaker_huggingface_inference_toolkit import content_types, decoder_encoder

def model_fn(model_dir): return str.upper

def transform_fn(model, data, content_type, accept):
    inputs = decoder_encoder.decode(data, content_type)["inputs"]
    if content_type == content_types.WAV:
        answer = [{"bytes": len(inputs)}]
    else:
        texts = [text if isinstance(text, str) else text["question"] for text in inputs]
        answer = [{"label": model(text), "score": numpy.float32(0.5)} for text in texts]
    if accept == content_types.JSON:
        answer[0]["at"] = datetime.datetime(2020, 1, 2)
    return decoder_encoder.encode(answer, accept)
"""

RAISES = """
def model_fn(model_dir): pass

class Detail(Exception):
    def __init__(self): self.status_code, self.detail = 404, "no such user"

class Prediction(Exception):
    def __init__(self): self.message, self.error_code = "too long", 413

class Werkzeug(Exception):
    code, description = 409, "in use"

class Plain(Exception):
    status_code = 402

class UrllibLike(Exception):
    code = 404

def transform_fn(model, body, content_type, accept):
    raise {"detail": Detail, "prediction": Prediction, "werkzeug": Werkzeug, "plain": lambda: Plain("pay"),
           "urllib": UrllibLike, "value": lambda: ValueError("not a number")}[body]()
"""


@pytest.mark.contract("HANDLER-12")
def test_the_scikit_learn_example_runs_without_its_discontinued_package(start):
    server = start(SKLEARN, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    assert server.post(b"1,2\n3,4\n", Accept="text/csv").body == b"2.0,4.0\n6.0,8.0\n"
    assert server.post(b"1,2\n").json == {"instances": [{"features": [2.0, 4.0]}]}
    teapot = server.post(b"1,2\n", Accept="text/teapot")
    assert (teapot.status, teapot.headers["x-handle"], teapot.body) == (418, "here", b"short and stout")
    wrong = server.post(b"1", "image/png")
    assert (wrong.status, wrong.json["error"]) == (400, "ValueError: image/png not supported by script!")


@pytest.mark.contract("HANDLER-06", "HANDLER-08", "HANDLER-21")
def test_a_handler_of_sagemaker_inference_runs_without_that(start):
    server = start(TOOLKIT, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    assert server.post(b"[[1, 2], [3, 4]]", "application/json").json == {
        "sum": 10,
        "loaded": ["before", "model", "warm"],
    }
    assert server.post(b"1,2\n3,4", Accept="text/csv").body == b"10.0\n"
    stream = io.BytesIO()
    np.save(stream, np.array([1.5, 2]))
    assert server.post(stream.getvalue(), "application/x-npy").json["sum"] == 3.5
    refused = server.post(b"[-1]", "application/json")
    assert (refused.status, refused.json) == (422, {"error": "No negative numbers."})
    unknown = server.post(b"x", "image/png")
    assert (unknown.status, "image/png" in unknown.json["error"]) == (415, True)


@pytest.mark.contract("HANDLER-08")
def test_a_handler_that_extends_the_toolkits_default_runs_without_that(start):
    server = start(EXTENDS, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    reply = server.post(b"[[1, 2]]", "application/json", Accept="image/png, text/csv")
    assert (reply.headers["content-type"], reply.body) == ("text/csv", b"2,4\n")
    refused = server.post(b"[[1, 2]]", "application/json", Accept="image/png")
    assert (refused.status, "image/png" in refused.json["error"]) == (415, True)


@pytest.mark.contract("HANDLER-42")
def test_a_handler_of_the_hugging_face_toolkit_runs_without_that(start):
    server = start(HUGGING_FACE, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    body = json.dumps({"inputs": ["ü"]}).encode()
    as_json = server.post(body, "application/json").body.decode()
    assert as_json == '[{"label":"Ü","score":0.5,"at":"2020-01-02 00:00:00"}]'
    as_csv = server.post(body, "application/json", Accept="text/csv").body.decode()
    assert as_csv == "label,score\r\nÜ,0.5\r\n"
    assert server.post(b"inputs\none\ntwo\n", "text/csv").json[1]["label"] == "TWO"
    assert server.post(b"question,context\nwho,me\n", "text/csv").json[0]["label"] == "WHO"
    assert server.post(b"sound", "audio/wave").json[0]["bytes"] == 5
    wrong = server.post(b"1,2\n", "text/csv")
    assert (wrong.status, "question, context, inputs" in wrong.json["error"]) == (400, True)
    assert server.post(b"x", "application/x-unknown").status == 415


def test_what_stands_in_for_the_toolkit_reads_no_pickle(start):
    server = start(TOOLKIT, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert pickle.dumps({"a": 1}) and server.post(stream.getvalue(), "application/x-npy").status == 400


@pytest.mark.contract("HANDLER-21", "AG-08", "HOST-55")
@pytest.mark.parametrize(
    ("body", "status", "cause"),
    [
        (b"detail", 404, "no such user"),
        (b"prediction", 413, "too long"),
        (b"werkzeug", 409, "in use"),
        (b"plain", 402, "pay"),
        (b"urllib", 500, "UrllibLike: "),
        (b"value", 400, "ValueError: not a number"),
    ],
)
def test_errors_tell_their_status_by_the_attributes_of_many_frameworks(start, body, status, cause):
    server = start(RAISES, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    reply = server.post(body)
    assert (reply.status, reply.json) == (status, {"error": cause})


@pytest.mark.contract("HANDLER-42")
def test_a_users_predict_fn_gets_the_dict_that_clients_of_hugging_face_send(start):
    handler = """
def model_fn(model_dir): pass
def predict_fn(data, model):
    inputs = data.pop("inputs", data) if isinstance(data, dict) else data.tolist()
    return [{"got": inputs, "parameters": data.get("parameters") if isinstance(data, dict) else None}]
"""
    server = start(handler, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    body = json.dumps({"inputs": "I like it", "parameters": {"top_k": 1}}).encode()
    assert server.post(body, "application/json").json == [{"got": "I like it", "parameters": {"top_k": 1}}]
    assert server.post(b"[[1, 2]]", "application/json").json == [{"got": [[1.0, 2.0]], "parameters": None}]


@pytest.mark.contract("AG-03", "HANDLER-01")
def test_an_absolute_program_and_the_folder_of_dependencies_are_found(start, tmp_path):
    library = tmp_path / "model" / "code" / "lib" / "dependency"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("NAME = 'a dependency'")
    program = tmp_path / "elsewhere" / "serve_it.py"
    program.parent.mkdir()
    (program.parent / "beside_it.py").write_text("NAME = 'beside'")
    program.write_text("""
import beside_it, dependency
def model_fn(model_dir): pass
def transform_fn(model, body, content_type, accept): return f"{dependency.NAME}, {beside_it.NAME}"
""")
    server = start(None, SAGEMAKER_PROGRAM=program, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    assert server.post(b"1").body == b"a dependency, beside"
