"""torch.compile as an option, and requests that come before the first client's."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
import torch
from opt_ml.errors import UserError
from opt_ml.serving.invocation import Request
from opt_ml_pytorch import compiling

from tests.images.pytorch.inside.conftest import NETWORK

EAGER = "aot_eager"  # traces as inductor does, and needs no compiler
USERS = """
import torch
from model import Net

def model_fn(model_dir):
    net = Net()
    net.load_state_dict(torch.load(f"{model_dir}/model.pth", weights_only=True))
    return net
"""
TUPLE = "def model_fn(model_dir):\n    return object(), 1\n"


@pytest.fixture
def saved(net, model_dir):
    """The weights, and a sample of one row and of four."""
    torch.save(net.state_dict(), model_dir / "model.pth")
    for rows in (1, 4):
        np.save(model_dir / f"rows-{rows}.npy", np.ones((rows, 4), dtype=np.float32))
    return model_dir


@pytest.fixture(autouse=True)
def apart():
    """What was compiled for one test is no help to another."""
    torch._dynamo.reset()


def npy(array):
    file = io.BytesIO()
    np.save(file, np.asarray(array, dtype=np.float32))
    return file.getvalue()


@pytest.mark.parametrize("code", [{"model.py": NETWORK}, {"model.py": NETWORK, "inference.py": USERS}])
def test_a_compiled_module_predicts_as_it_is(code, saved, serve, ask, expected):
    model = serve(code, OPT_ML_PYTORCH_COMPILE=EAGER)
    answer = ask(model, "[[1, 2, 3, 4]]", "application/json")
    assert answer.status == 200, answer.body
    assert torch.allclose(torch.tensor(json.loads(answer.body)), expected([[1, 2, 3, 4]]), atol=1e-5)


def test_a_shape_that_a_compiled_model_does_not_take_is_the_clients_fault(saved, serve, ask):
    model = serve({"model.py": NETWORK}, OPT_ML_PYTORCH_COMPILE=EAGER)
    answer = ask(model, "[[1, 2, 3]]", "application/json")
    assert answer.status == 400, answer.body
    assert "(1, 3)" in json.loads(answer.body)["error"]
    assert ask(model, "[[1, 2, 3, 4]]", "application/json").status == 200


@pytest.mark.skipif(
    not compiling.has_compiler(), reason="the image has no C++ compiler, as the next test says"
)
def test_machine_code_predicts_as_the_module(saved, serve, ask, expected):
    model = serve({"model.py": NETWORK}, OPT_ML_PYTORCH_COMPILE="true", OPT_ML_WARM_UP="rows-1.npy")
    answer = ask(model, "[[1, 2, 3, 4]]", "application/json")
    assert torch.allclose(torch.tensor(json.loads(answer.body)), expected([[1, 2, 3, 4]]), atol=1e-5)


def test_an_image_without_a_compiler_says_so(saved, serve, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler"):
        serve({"model.py": NETWORK}, OPT_ML_PYTORCH_COMPILE="true")


@pytest.mark.parametrize(
    ("code", "backend", "cause"),
    [
        ({"model.py": NETWORK}, "fastest", "fastest is no backend"),
        ({"inference.py": TUPLE}, EAGER, "the model is a tuple"),
    ],
)
def test_what_cannot_be_compiled_is_told_at_the_start(code, backend, cause, saved, serve):
    with pytest.raises(UserError, match=cause):
        serve(code, OPT_ML_PYTORCH_COMPILE=backend)


def test_torchscript_is_not_compiled_again(net, model_dir, serve):
    torch.jit.script(net.eval()).save(model_dir / "model.pt")
    with pytest.raises(UserError, match="RecursiveScriptModule"):
        serve(OPT_ML_PYTORCH_COMPILE=EAGER)


def test_every_size_is_compiled_before_the_first_request_and_none_after_it(saved, serve, ask):
    model = serve(
        {"model.py": NETWORK},
        OPT_ML_PYTORCH_COMPILE=EAGER,
        OPT_ML_PYTORCH_BATCH="4",
        OPT_ML_PYTORCH_BATCH_SIZES="1,4",
        OPT_ML_WARM_UP="rows-1.npy, rows-4.npy",
    )
    with torch.compiler.set_stance("fail_on_recompile"):
        for rows in (1, 2, 3, 4):
            answer = ask(model, npy(np.ones((rows, 4))), "application/x-npy")
            assert answer.status == 200, answer.body
        together = [Request(npy(np.ones((1, 4))), "application/x-npy", None)] * 3
        assert [one.status for one in model.run(model.answer_together(together))] == [200] * 3


def test_a_sample_that_the_model_refuses_is_told_at_the_start(saved, serve):
    np.save(saved / "wrong.npy", np.ones((1, 3), dtype=np.float32))
    with pytest.raises(UserError, match=r"answers wrong\.npy with 400: .*\(1, 3\)"):
        serve({"model.py": NETWORK}, OPT_ML_WARM_UP="wrong.npy")
