"""Which functions a handler has, what they receive, and what may come out of them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from opt_ml.errors import RequestError, UserError
from opt_ml.serving import handler as handler_module
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model, Request


@pytest.fixture
def load(tmp_path, monkeypatch):
    """A function that loads a handler from source, beside a built-in one made of keyword arguments.

    Or beside a function of the image that chooses one, the second argument.
    """
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("SAGEMAKER_PROGRAM", raising=False)
    modules = set(sys.modules)

    def load(source, choose=None, **built_in):
        code = tmp_path / "code"
        code.mkdir(exist_ok=True)
        if source is not None:
            (code / "inference.py").write_text(source)
        image = choose or (SimpleNamespace(**built_in) if built_in else None)
        monkeypatch.setattr(handler_module, "find_built_in", lambda group: image)
        return load_handler(tmp_path)

    yield load
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def answer(handler, body=b"1,2", content_type="text/csv", accept=None):
    model = Model(handler, "/model")
    model.run(model.load())
    return model.run(model.answer(Request(body, content_type, accept)))


@pytest.mark.contract("HANDLER-02", "HANDLER-04")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def predict_fn(data, model): pass", "has no model_fn, and this image has no built-in one."),
        ("model_fn = 3", "model_fn is not a function."),
        ("def model_fn(): pass", "model_fn must take (model_dir)."),
        ("def model_fn(d): pass\ndef output_fn(p): pass", "output_fn must take (prediction, accept)."),
        ("def model_fn(d): pass\ndef transform_fn(a, b, c, d): pass\ndef input_fn(a, b): pass", "Keep one"),
        (None, "inference.py does not exist, and this image has no built-in handler."),
    ],
)
def test_a_handler_that_cannot_work_is_refused_at_load(load, source, message):
    with pytest.raises(UserError) as error:
        load(source)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_model_that_cannot_predict_is_refused_at_load(load):
    with pytest.raises(UserError, match=r"int, which has no predict.*Define predict_fn"):
        answer(load("def model_fn(d): return 3"))


@pytest.mark.contract("HANDLER-03")
@pytest.mark.parametrize(("fits_any_model", "answered"), [(False, b"[[1.0,2.0]]"), (True, b"of the image")])
def test_an_images_steps_stand_beside_a_users_model_fn_where_they_fit_any_model(
    load, fits_any_model, answered
):
    steps = {"predict_fn": lambda data, model: "of the image", "output_fn": lambda data, accept: str(data)}
    handler = load("def model_fn(d): return lambda data: data", fits_any_model=fits_any_model, **steps)
    assert answer(handler).body == answered


@pytest.mark.contract("HANDLER-03")
def test_the_frameworks_of_the_images_own_handler_are_left_alone_where_the_model_brings_a_model_fn(load):
    asked = []

    def choose(model_dir):
        asked.append(model_dir)
        return SimpleNamespace(model_fn=lambda directory: lambda data: data * 2)

    assert answer(load("def model_fn(d): return lambda data: data * 3", choose)).body == b"[[3.0,6.0]]"
    assert asked == []
    assert answer(load("def pre_model_fn(d): pass", choose)).body == b"[[2.0,4.0]]"
    assert len(asked) == 1


@pytest.mark.contract("HANDLER-01")
def test_a_named_program_that_is_absent_is_refused(load, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "other.py")
    with pytest.raises(UserError, match=r"SAGEMAKER_PROGRAM='other.py': .*/code/other.py does not exist"):
        load("def model_fn(d): pass")


@pytest.mark.contract("HANDLER-01")
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_named_program_may_lie_in_the_submitted_directory(load, monkeypatch, tmp_path, scheme):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.py").write_text("import beside_mine\ndef model_fn(d): return lambda data: data * 3")
    (elsewhere / "beside_mine.py").write_text("")
    monkeypatch.setenv("SAGEMAKER_SUBMIT_DIRECTORY", f"{scheme}{elsewhere}")
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "mine.py")
    assert answer(load(None)).body == b"[[3.0,6.0]]"
    (tmp_path / "code" / "mine.py").write_text("def model_fn(d): return lambda data: data * 5")
    assert answer(load(None)).body == b"[[5.0,10.0]]"


def test_a_bug_on_import_comes_through(load):
    with pytest.raises(SyntaxError):
        load("def model_fn(d:")


@pytest.mark.contract("HANDLER-03")
def test_steps_fall_back_to_the_image_and_then_to_the_default(load):
    handler = load(
        "def predict_fn(data, model): return data * model",
        model_fn=lambda directory: 2,
        output_fn=lambda prediction, accept: f"{prediction.tolist()} {accept}",
    )
    assert answer(handler).body == b"[[2.0, 4.0]] */*"


@pytest.mark.contract("HANDLER-03", "HANDLER-08")
def test_beside_a_users_model_fn_absent_steps_are_the_defaults(load):
    images = {name: lambda *arguments: 1 / 0 for name in ("model_fn", "input_fn", "predict_fn", "output_fn")}
    assert answer(load("def model_fn(d): return lambda data: data * 2", **images)).body == b"[[2.0,4.0]]"
    transform = {"transform_fn": lambda *arguments: 1 / 0}
    assert answer(load("def model_fn(d): return lambda data: data", **transform)).body == b"[[1.0,2.0]]"


@pytest.mark.contract("HANDLER-04")
def test_a_users_step_sets_the_images_transform_fn_aside_and_the_other_way_round(load):
    steps = (
        "def model_fn(d): return None\ndef predict_fn(x, m): return x\ndef output_fn(p, a): return 'steps'"
    )
    transform = "def model_fn(d): return None\ndef transform_fn(m, b, c, a): return 'transform'"
    images = {"input_fn": lambda b, c: 1 / 0}
    assert answer(load(steps, transform_fn=lambda m, b, c, a: "image")).body == b"steps"
    assert answer(load(transform, **images)).body == b"transform"


@pytest.mark.contract("HANDLER-04")
def test_the_images_transform_fn_is_used_where_the_user_has_none_of_its_functions(load):
    images = {"model_fn": lambda d: None, "transform_fn": lambda m, b, c, a: "image"}
    assert answer(load("NAME = 'without functions'", **images)).body == b"image"


@pytest.mark.contract("HANDLER-07", "HANDLER-11", "HOST-57")
@pytest.mark.parametrize(
    ("body", "content_type", "users", "images"),
    [
        (b"1", "text/csv", "'1' text/csv", "b'1' text/csv"),
        (b"{}", None, "'{}' application/json", "b'{}' application/octet-stream"),
        ("\xe9".encode("latin-1"), "text/plain; charset=latin-1", "'\xe9' text/plain; charset=latin-1", None),
        (b"1", "application/vnd.x+json", "'1' application/vnd.x+json", None),
        (b"1", "application/x-npy", "b'1' application/x-npy", None),
    ],
)
def test_users_functions_get_text_for_text_types_and_the_images_get_bytes(
    load, body, content_type, users, images
):
    source = (
        "def model_fn(d): pass\ndef predict_fn(x, m): return x\n"
        "def input_fn(b, c): return f'{b!r} {c}'\ndef output_fn(p, a): return p"
    )
    assert answer(load(source), body, content_type).body.decode() == users
    if images:
        image = {"model_fn": lambda d: None, "transform_fn": lambda m, b, c, a: f"{b!r} {c}"}
        plain = load("NAME = 'without functions'", **image)
        assert answer(plain, body, content_type).body.decode() == images


@pytest.mark.contract("HANDLER-11")
@pytest.mark.parametrize(
    ("accept", "variable", "seen"),
    [
        ("text/csv;q=0.5, */*", None, "text/csv;q=0.5, */*"),
        (None, None, "application/json"),
        ("*/*", None, "application/json"),
        (None, "text/csv", "text/csv"),
        ("*/*", "text/csv", "text/csv"),
        ("application/x-npy", "text/csv", "application/x-npy"),
    ],
)
def test_accept_reaches_output_fn_raw_with_a_default_for_none(load, monkeypatch, accept, variable, seen):
    if variable:
        monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", variable)
    source = "def model_fn(d): pass\ndef predict_fn(x, m): return x\ndef output_fn(p, a): return a"
    assert answer(load(source), accept=accept).body.decode() == seen


@pytest.mark.contract("HANDLER-12", "HOST-53")
@pytest.mark.parametrize(
    ("result", "accept", "body", "content_type"),
    [
        ("b'x'", "text/csv", b"x", "text/csv"),
        ("bytearray(b'x')", "text/csv", b"x", "text/csv"),
        ("'\\xe9'", None, "\xe9".encode(), "application/json"),
        ("'x'", "text/csv, text/plain", b"x", "application/json"),
        ("'x'", "text/*", b"x", "application/json"),
        ("'x'", "text/pl\xe4in", b"x", "application/json"),
        ("('x', 'text/plain')", "text/csv", b"x", "text/plain"),
        ("b''", "text/csv", b"", "text/csv"),
    ],
)
def test_output_fn_may_return_bytes_text_or_body_and_content_type(load, result, accept, body, content_type):
    source = "def model_fn(d): pass\ndef predict_fn(x, m): return x\ndef output_fn(p, a): return "
    assert answer(load(source + result), accept=accept)[:3] == (200, content_type, body)


@pytest.mark.parametrize("result", ["None", "3", "[1]", "('x', 'a\\r\\nb: c')", "('x', None)"])
def test_any_other_result_is_500_and_says_what_to_return(load, result, capsys):
    source = "def model_fn(d): pass\ndef predict_fn(x, m): return x\ndef output_fn(p, a): return "
    reply = answer(load(source + result))
    assert reply.status == 500
    assert b"; return " in reply.body
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.contract("HOST-54", "HOST-55", "HANDLER-10")
def test_the_step_and_the_exception_decide_the_status(load, capsys):
    model = {"model_fn": lambda directory: None, "output_fn": lambda prediction, accept: "fine"}

    def fail(error):
        def step(first, second):
            raise error

        return step

    def status(step, error):
        return answer(load(None, **{"predict_fn": lambda data, model: 1, **model, step: fail(error)})).status

    assert status("input_fn", ValueError("x")) == 400
    assert status("input_fn", KeyError("x")) == 500
    assert status("predict_fn", ValueError("x")) == 500
    assert status("input_fn", RequestError(415, "x")) == 415
    assert status("output_fn", RequestError(406, "x")) == 406
    assert status("predict_fn", MemoryError()) == 503


@pytest.mark.contract("HOST-54")
def test_the_cause_of_an_error_stands_whole_in_the_first_2048_characters(load, capsys):
    source = "def model_fn(d): pass\ndef predict_fn(x, m): raise KeyError('k' * 10**6)"
    body = answer(load(source)).body
    assert body.startswith(b'{"error":"KeyError: ')
    assert len(body) < 2048


@pytest.mark.contract("HANDLER-08")
@pytest.mark.parametrize(
    ("prediction", "accept", "body"),
    [
        ("np.array([1.5, 2])", None, b"[1.5,2.0]"),
        ("np.array([[1, 2], [3, 4]])", None, b"[[1,2],[3,4]]"),
        ("{'a': np.float32(0.1), 'b': np.arange(2)}", None, b'{"a":0.1,"b":[0,1]}'),
        ("np.array(['x', None], dtype=object)", None, b'["x",null]'),
        ("np.arange(6).reshape(3, 2)[:, 0]", None, b"[0,2,4]"),
        ("[1, 2]", "text/csv", b"1\n2\n"),
        ("np.array([[1, 2.5], [3, 4]])", "text/csv", b"1.0,2.5\n3.0,4.0\n"),
        ("[1, 2]", "application/jsonlines", b'{"prediction":1}\n{"prediction":2}\n'),
        ("[[1, 2.5], [3, 4]]", "application/jsonlines", b"[1.0,2.5]\n[3.0,4.0]\n"),
    ],
)
def test_default_steps_take_a_table_to_an_encoded_array(load, prediction, accept, body):
    source = f"import numpy as np\ndef model_fn(d): return lambda data: {prediction}"
    reply = answer(load(source), accept=accept)
    assert (reply.status, reply.body) == (200, body)
    assert reply.content_type == (accept or "application/json")


def test_the_default_predict_fn_prefers_predict_and_gets_an_array(load):
    class Regressor:
        def predict(self, data):
            assert isinstance(data, np.ndarray)
            return data.sum(axis=1)

    assert answer(load(None, model_fn=lambda directory: Regressor())).body == b"[3.0]"
