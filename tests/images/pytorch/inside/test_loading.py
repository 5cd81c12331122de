"""Model files of each kind, without a handler of the user's; and those that are refused, with the cause."""

from __future__ import annotations

import json
import pickle
import zipfile

import pytest
import torch
from opt_ml.errors import UserError
from opt_ml_pytorch import files
from safetensors.torch import save_file

from tests.images.pytorch.inside.conftest import NETWORK

ROWS = [[1.0, 2.0, 3.0, 4.0], [-1.0, 0.5, 0.0, 2.0]]
CODE = {"model.py": NETWORK}


def export(net, path):
    program = torch.export.export(
        net.eval(), (torch.zeros(3, 4),), dynamic_shapes=({0: torch.export.Dim("rows")},)
    )
    torch.export.save(program, path)


def checkpoint(net, path):
    torch.save(
        {"epoch": 3, "model_state_dict": {f"module.{n}": v for n, v in net.state_dict().items()}}, path
    )


WHOLE = {
    "model.pt": lambda net, path: torch.jit.script(net.eval()).save(path),
    "traced.pth": lambda net, path: torch.jit.trace(net.eval(), torch.zeros(3, 4)).save(path),
    "model.pt2": export,
}
WEIGHTS = {
    "weights.safetensors": lambda net, path: save_file(net.state_dict(), path),
    "weights.pt": lambda net, path: torch.save(net.state_dict(), path),
    "before-1.6.pth": lambda net, path: torch.save(
        net.state_dict(), path, _use_new_zipfile_serialization=False
    ),
    "checkpoint.pt": checkpoint,
}


@pytest.mark.contract("HANDLER-30")
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_model_is_served_without_any_code(name, net, model_dir, serve, ask, expected):
    WHOLE[name](net, model_dir / name)
    answer = ask(serve(), json.dumps(ROWS), "application/json")
    assert answer.status == 200, answer.body
    assert torch.allclose(torch.tensor(json.loads(answer.body)), expected(ROWS), atol=1e-6)


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_are_served_with_the_class_of_code(name, net, model_dir, serve, ask, expected):
    WEIGHTS[name](net, model_dir / name)
    answer = ask(serve(CODE), json.dumps(ROWS), "application/json")
    assert answer.status == 200, answer.body
    assert torch.allclose(torch.tensor(json.loads(answer.body)), expected(ROWS), atol=1e-6)


def test_a_function_may_make_the_module(net, model_dir, serve, ask, expected):
    WEIGHTS["weights.pt"](net, model_dir / "weights.pt")
    code = NETWORK + "\nclass Other(nn.Module): ...\ndef make():\n    return Net()\n"
    model = serve({"net.py": code}, OPT_ML_PYTORCH_MODEL="net.py:make")
    answer = json.loads(ask(model, json.dumps(ROWS), "application/json").body)
    assert torch.allclose(torch.tensor(answer), expected(ROWS), atol=1e-6)


class Marker:
    """Its pickle runs code: it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_that_could_run_code_is_not_read(net, model_dir, serve, tmp_path):
    torch.save({"weights": net.state_dict(), "more": Marker(tmp_path / "ran")}, model_dir / "model.pth")
    with pytest.raises(UserError, match="could run any code") as caught:
        serve()
    assert "OPT_ML_PYTORCH_UNPICKLE" in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_sample_inputs_of_an_exported_program_that_could_run_code_are_not_read(
    net, model_dir, serve, tmp_path
):
    export(net, model_dir / "good.pt2")
    with zipfile.ZipFile(model_dir / "good.pt2") as good, zipfile.ZipFile(model_dir / "bad.pt2", "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if "sample_inputs" in name:
                path = model_dir / "sample.bin"
                torch.save(((Marker(tmp_path / "ran"),), {}), path)
                content = path.read_bytes()
            bad.writestr(name, content)
    (model_dir / "good.pt2").unlink()
    with pytest.raises(UserError, match=r"bad\.pt2"):
        serve()
    assert not (tmp_path / "ran").exists()


def test_a_whole_module_is_unpickled_where_that_is_asked_for(net, model_dir, serve, ask, expected):
    whole = torch.nn.Sequential(torch.nn.Flatten(), net.layers)
    torch.save(whole, model_dir / "model.pth")
    with pytest.raises(UserError, match="could run any code"):
        serve()
    model = serve(OPT_ML_PYTORCH_UNPICKLE="true")
    answer = json.loads(ask(model, json.dumps(ROWS), "application/json").body)
    assert torch.allclose(torch.tensor(answer), expected(ROWS), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "make", "code", "environment", "cause"),
    [
        ("model.pt", WEIGHTS["weights.pt"], None, {}, "code/model.py does not exist"),
        ("model.pt", WEIGHTS["weights.pt"], {"model.py": "x = 1\n"}, {}, "but has none"),
        ("model.pt", WEIGHTS["weights.pt"], {"model.py": NETWORK + "class B(Net): ...\n"}, {}, "Net, B"),
        ("model.pt", WEIGHTS["weights.pt"], CODE, {"OPT_ML_PYTORCH_MODEL": "model.py:Nett"}, "Nett"),
        (
            "model.pt",
            WEIGHTS["weights.pt"],
            {"model.py": NETWORK.replace("(self):", "(self, width):")},
            {},
            "without arguments",
        ),
        (
            "model.pt",
            WEIGHTS["weights.pt"],
            {"model.py": NETWORK.replace("(8, 3)", "(8, 2)")},
            {},
            "does not fit Net",
        ),
        ("model.pt", lambda net, path: torch.save([1, 2], path), CODE, {}, "holds a list"),
        ("model.pt2", lambda net, path: path.write_bytes(b"PK cut off"), None, {}, "damaged"),
        ("model.pt", lambda net, path: path.write_bytes(b"no model"), None, {}, "model.pt"),
        ("notes.txt", lambda net, path: path.write_text("no model"), None, {}, ".safetensors"),
        ("model.pt", WHOLE["model.pt"], None, {"OPT_ML_PYTORCH_DEVICE": "gpu"}, "OPT_ML_PYTORCH_DEVICE=gpu"),
        ("model.pt", WHOLE["model.pt"], None, {"OPT_ML_PYTORCH_BATCH": "many"}, "OPT_ML_PYTORCH_BATCH"),
        ("model.pt", WHOLE["model.pt"], None, {"OPT_ML_PYTORCH_BATCH_SIZES": "4"}, "OPT_ML_PYTORCH_BATCH=4"),
        ("model.pt", WHOLE["model.pt"], None, {"OPT_ML_PYTORCH_UNPICKLE": "yes"}, "neither true nor false"),
    ],
)
def test_what_cannot_be_served_is_named(name, make, code, environment, cause, net, model_dir, serve):
    make(net, model_dir / name)
    with pytest.raises(UserError) as caught:
        serve(code, **environment)
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.contract("HOST-22")
def test_of_several_files_the_one_called_model_is_taken(model_dir, tmp_path):
    with pytest.raises(UserError, match="neither"):
        files.find_model_file(tmp_path / "missing")
    for name in ("encoder.pt", "decoder.pt"):
        (model_dir / name).touch()
    with pytest.raises(UserError, match=r"decoder\.pt, encoder\.pt"):
        files.find_model_file(model_dir)
    (model_dir / "model.pt").touch()
    assert files.find_model_file(model_dir).name == "model.pt"


def test_a_pickle_by_another_name_is_told_by_its_content(model_dir):
    path = model_dir / "model.pt"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert files.kind_of(path) == files.PICKLE
