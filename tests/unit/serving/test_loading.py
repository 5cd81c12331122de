"""How a server starts with the handler that the model brings, and what it says when it cannot."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

MINIMAL = "def model_fn(model_dir):\n    return lambda data: [row[0] for row in data]\n"


@pytest.mark.contract("HOST-12", "HANDLER-02")
@pytest.mark.parametrize(
    ("handler", "first_line"),
    [
        (None, "inference.py does not exist, and this image has no built-in handler."),
        (
            "from opt_ml.errors import UserError\ndef model_fn(d): raise UserError('model.bin is cut.')",
            "model.bin is cut.",
        ),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_1(start, handler, first_line):
    server = start(handler, SAGEMAKER_MODEL_SERVER_WORKERS=2)
    assert server.process.wait(60) == 1
    assert first_line in server.log.splitlines()[0]
    assert len(server.log.splitlines()) == 1


def test_a_bug_in_the_handler_is_its_cause_then_its_traceback_once_and_exit_code_1(start):
    server = start("def model_fn(d):\n    return {}['weights']", SAGEMAKER_MODEL_SERVER_WORKERS=4)
    assert server.process.wait(60) == 1
    assert server.log.splitlines()[0] == "KeyError: 'weights'"
    assert "return {}['weights']" in server.log
    assert server.log.count("Traceback (most recent call last)") == 1


@pytest.mark.parametrize(
    ("death", "cause"),
    [
        ("os._exit(9)", "exited with code 9 while it loaded the model."),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL (out of memory?"),
    ],
)
def test_a_worker_that_dies_while_it_loads_is_named_and_exit_code_1(start, death, cause):
    server = start(f"import os\ndef model_fn(d): {death}", SAGEMAKER_MODEL_SERVER_WORKERS=1)
    assert server.process.wait(60) == 1
    assert cause in server.log.splitlines()[0]


def test_a_server_whose_worker_cannot_come_back_exits_1(start, tmp_path):
    once = """
import os, pathlib
def model_fn(model_dir):
    pathlib.Path(os.environ["BASE"], "once").touch(exist_ok=False)
    return print
"""
    server = start(once, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    os.kill(min(server.workers), signal.SIGKILL)
    assert server.process.wait(60) == 1
    assert server.log.count("FileExistsError:") >= 3
    assert "was killed by SIGKILL" in server.log


@pytest.mark.contract("HOST-21", "HOST-28", "HANDLER-01")
def test_a_read_only_model_directory_serves_and_stays_as_it_was(start, tmp_path):
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    (code / "helper.py").write_text("FACTOR = 3\n")
    (code / "inference.py").write_text(
        "import helper\ndef model_fn(d): return lambda data: data[:, 0] * helper.FACTOR\n"
    )
    before = sorted(tmp_path.joinpath("model").rglob("*"))
    for path in (code / "helper.py", code / "inference.py", code, tmp_path / "model"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    server = start(None, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    reply = server.post(b"1,2\n5,6\n")
    after = sorted(tmp_path.joinpath("model").rglob("*"))
    (tmp_path / "model").chmod(0o755)
    code.chmod(0o755)
    assert (reply.status, reply.json) == (200, [3.0, 15.0])
    assert after == before


@pytest.mark.contract("HANDLER-01")
def test_sagemaker_program_names_the_handler(start, tmp_path):
    code = tmp_path / "model" / "code" / "source"
    code.mkdir(parents=True)
    (code / "serve_me.py").write_text(MINIMAL)
    server = start("raise SystemExit('not me')", SAGEMAKER_PROGRAM="source/serve_me.py")
    server.wait_until_ready()
    assert server.post(b"7,8").json == [7.0]


@pytest.mark.contract("HOST-22")
def test_an_image_with_a_built_in_handler_starts_without_a_model_directory(start, tmp_path):
    install_built_in(tmp_path)
    server = start(None, PYTHONPATH=built_in_path(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS=1)
    server.wait_until_ready()
    assert not (tmp_path / "model").exists()
    assert server.post(b"1,2\n3,4").json == {"predictions": [3.0, 7.0]}


def test_an_image_may_choose_its_handler_by_the_model(start, tmp_path):
    install_built_in(tmp_path)
    (tmp_path / "site" / "opt_ml_many.py").write_text(
        "import opt_ml_sum\n\ndef handler_for(model_dir):\n"
        "    return opt_ml_sum if model_dir.name == 'model' else None\n"
    )
    points = tmp_path / "site" / "opt_ml_sum-1.0.dist-info" / "entry_points.txt"
    points.write_text("[opt_ml.handler]\nmany = opt_ml_many:handler_for\n")
    server = start(None, PYTHONPATH=built_in_path(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS=1)
    server.wait_until_ready()
    assert server.post(b"1,2\n3,4").json == {"predictions": [3.0, 7.0]}


@pytest.mark.contract("HANDLER-02", "HANDLER-03")
def test_a_users_function_takes_the_place_of_the_built_in_one_and_the_others_stay(start, tmp_path):
    install_built_in(tmp_path)
    handler = "def predict_fn(data, model): return model.predict(data) + 100\n"
    server = start(handler, PYTHONPATH=built_in_path(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS=1)
    server.wait_until_ready()
    assert server.post(b"1,2\n3,4").json == {"predictions": [103.0, 107.0]}


@pytest.mark.contract("HOST-57")
def test_a_built_in_handler_tells_a_body_without_content_type_by_its_first_bytes(start, tmp_path):
    install_built_in(tmp_path)
    server = start(None, PYTHONPATH=built_in_path(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS=1)
    server.wait_until_ready()
    for body in (b"1,2\n3,4", b"[[1,2],[3,4]]", b'{"instances": [[1,2],[3,4]]}'):
        assert server.request("POST", "/invocations", body).json == {"predictions": [3.0, 7.0]}
    unknown = server.post(b"x", "image/png")
    assert unknown.status == 415
    assert "text/csv" in unknown.json["supported"]
    assert server.post(b"1,2", Accept="image/png").status == 406
    ragged = server.post(b"1,2\n3\n")
    assert (ragged.status, ragged.json["row"], ragged.json["column"]) == (400, 2, 2)


BUILT_IN = """
from opt_ml.serving.codecs import ENCODABLE, choose_accept, decode_table, encode_columns

class Sum:
    def predict(self, values):
        return values.sum(axis=1)

def model_fn(model_dir):
    return Sum()

def input_fn(body, content_type):
    return decode_table(body, content_type).values

def output_fn(prediction, accept):
    return encode_columns({"sum": prediction}, choose_accept(accept, ENCODABLE, "application/json"))
"""


def install_built_in(tmp_path: Path) -> None:
    """An image's package, as pip would leave it: a module and its entry point."""
    site = tmp_path / "site"
    info = site / "opt_ml_sum-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "opt_ml_sum.py").write_text(BUILT_IN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: opt-ml-sum\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[opt_ml.handler]\nsum = opt_ml_sum\n")


def built_in_path(tmp_path: Path) -> str:
    entrypoints = Path(__file__).resolve().parents[3] / "entrypoints"
    return f"{entrypoints}:{tmp_path / 'site'}"
