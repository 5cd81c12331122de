"""A multi-model endpoint as a process of its own, with a built-in handler as a package brings one."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.unit.serving.conftest import ENTRYPOINTS, Reply, Server, Start
from tests.unit.serving.wheels import wheel

# What a model does stands in its model.json. `wait` blocks until the test touches a file.
HANDLER = """
import json, os, pathlib, signal, time
from opt_ml.errors import RequestError, UserError
BASE = pathlib.Path(os.environ["BASE"])

def until(name):
    (BASE / f"{name}.began").touch()
    while not (BASE / name).exists():
        time.sleep(0.005)

def model_fn(model_dir):
    model = json.loads((pathlib.Path(model_dir) / "model.json").read_text())
    if "wait_in_load" in model:
        until(model["wait_in_load"])
    if "wait_in_copy" in model and (BASE / f"{model['says']}.loaded").exists():
        until(model["wait_in_copy"])
    (BASE / f"{model['says']}.loaded").touch()
    if model.get("fault") == "user":
        raise UserError("model.json: no such thing as a fault")
    if model.get("fault") == "bug":
        raise KeyError("bug")
    if model.get("fault") == "memory":
        raise MemoryError("no room")
    if model.get("fault") == "kill" or (model.get("fault") == "kill-later" and (BASE / "later").exists()):
        os.kill(os.getpid(), signal.SIGKILL)
    model["ballast"] = b"x" * model.get("ballast", 0)
    return model

def input_fn(body, content_type):
    text = body.decode()
    if text == "bad":
        raise RequestError(400, "row 1: bad")
    return text

def answer(text, model, count):
    if text.startswith("wait"):
        until(text)
    if text == "exit":
        os._exit(3)
    if text == "memory":
        raise MemoryError("no room")
    return f"{model['says']} {text} of {count} by {os.getpid()}"

def predict_fn(data, model):
    return answer(data, model, 1)

def predict_batch_fn(data, model):
    return [answer(text, model, len(data)) for text in data]

def output_fn(prediction, accept):
    return prediction, "text/plain"
"""

# Two words at most are answered quickly, others by the handler.
QUICK = """
import json, os, pathlib
from opt_ml.serving.answers import Answer, error_answer

def load_quick(model_dir):
    model = json.loads((model_dir / "model.json").read_text())
    if "quick" not in model:
        return None
    if model["quick"] == "broken":
        raise OSError("no compiled model")
    return Quick(model)

class Quick:
    most_rows = 4
    def __init__(self, model):
        self.model = model
    def answer(self, requests):
        if self.model["quick"] == "bug":
            raise KeyError("bug")
        if self.model["quick"] == "short":
            return []
        if any(request.body == b"trip" for request in requests):
            raise KeyError("tripped over one request")
        assert len(requests) <= self.most_rows
        return [self.one(request.body.decode(), len(requests)) for request in requests]
    def one(self, text, count):
        if text == "bad":
            return error_answer(400, "row 1: bad")
        if text.count(" ") > 1:
            return None
        return Answer(200, "text/plain", f"quick {text} of {count} by {os.getpid()}".encode())
"""

OWN_CODE = """
import os, helper
def model_fn(model_dir): return helper.NAME
def input_fn(body, content_type): return body
def predict_fn(data, model):
    if data == "exit":
        os._exit(3)
    return f"{model} {data} of 1 by {os.getpid()}"
def output_fn(prediction, accept): return prediction, "text/plain"
"""


class ManyModels:
    """A running endpoint, and the directories of its models."""

    def __init__(
        self, start: Start, base: Path, workers: int = 2, settings: str = "", **variables: Any
    ) -> None:
        package = base / "package"
        facts = package / "built_in-1.dist-info"
        facts.mkdir(parents=True, exist_ok=True)
        (package / "built_in.py").write_text(HANDLER, encoding="utf-8")
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: built-in\nVersion: 1\n")
        (package / "quick_path.py").write_text(QUICK, encoding="utf-8")
        (facts / "entry_points.txt").write_text(
            "[opt_ml.handler]\nbuilt_in = built_in\n[opt_ml.quick]\nbuilt_in = quick_path:load_quick\n"
        )
        self.base = base
        self.server: Server = start(
            None,
            settings=settings,
            PYTHONPATH=f"{ENTRYPOINTS}:{package}",
            SAGEMAKER_MULTI_MODEL="true",
            SAGEMAKER_MODEL_SERVER_WORKERS=workers,
            **variables,
        ).wait_until_ready()

    def make(self, folder: str, code: str | None = None, requires: str | None = None, **model: Any) -> str:
        """A model's directory, with code of its own and a version of helper_of_tests; its url."""
        directory = self.base / "models" / folder / "model"
        directory.mkdir(parents=True)
        (directory / "model.json").write_text(json.dumps({"says": folder, **model}))
        if code is not None:
            (directory / "code").mkdir()
            (directory / "code" / "inference.py").write_text(code)
            (directory / "code" / "helper.py").write_text(f"NAME = {folder!r}")
        if requires is not None:
            (directory / "requirements.txt").write_text(f"helper_of_tests=={requires}")
            wheel(directory / "requirements", version=requires)
        return str(directory)

    def load(self, name: str, url: str | None = None, **model: Any) -> Reply:
        url = self.make(name, **model) if url is None else url
        return self.server.request("POST", "/models", json.dumps({"model_name": name, "url": url}))

    def unload(self, name: str) -> Reply:
        return self.server.request("DELETE", f"/models/{quote(name, safe='')}")

    def describe(self, name: str) -> Reply:
        return self.server.request("GET", f"/models/{quote(name, safe='')}")

    def invoke(self, name: str, body: str = "hello", **headers: str) -> Reply:
        return self.server.request("POST", f"/models/{quote(name, safe='')}/invoke", body.encode(), headers)

    def pages(self, limit: int | None = None) -> list[list[str]]:
        """The names of all models, page by page."""
        pages, token = [], None
        while True:
            query = [f"limit={limit}"] if limit else []
            query += [f"next_page_token={token}"] if token else []
            reply = self.server.request("GET", "/models" + ("?" + "&".join(query) if query else ""))
            assert reply.status == 200, reply.body
            pages.append([model["modelName"] for model in reply.json["models"]])
            token = reply.json.get("nextPageToken")
            if token is None:
                return pages

    def names(self) -> list[str]:
        return [name for page in self.pages() for name in page]

    def metric(self, name: str) -> float:
        lines = self.server.request("GET", "/metrics").body.decode().splitlines()
        return float(next(line.split()[1] for line in lines if line.split()[0] == name))

    def touch(self, name: str) -> None:
        (self.base / name).touch()

    def has(self, name: str) -> bool:
        return (self.base / name).exists()


AS_BUILT_IN = OWN_CODE.replace("return helper.NAME", "import built_in; return built_in.model_fn(model_dir)")
WAITING = OWN_CODE.replace(
    "    if data ==",
    "    import built_in; built_in.until(data) if data.startswith('wait') else None\n    if data ==",
)


def later(function: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call in a thread; what is returned waits for the result."""
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(function(*arguments, **keywords)), daemon=True)
    thread.start()

    def wait() -> Any:
        thread.join(60)
        assert result, "no answer"
        return result[0]

    return wait


def process_of(reply: Reply) -> int:
    """Which process answered."""
    assert reply.status == 200, reply.body
    return int(reply.body.split()[-1])
