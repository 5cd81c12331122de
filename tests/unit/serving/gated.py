"""A handler that does what a test tells it to, when the test tells it to."""

from __future__ import annotations

from pathlib import Path

# `wait` blocks until the test says go, and says that it has begun; `die` ends the process.
GATED = """
import ctypes, os, pathlib, time
BASE = pathlib.Path(os.environ["BASE"])

def model_fn(model_dir):
    while not (BASE / "load").exists():
        time.sleep(0.01)
    return None

def predict_fn(data, model):
    if data == "wait":
        (BASE / f"began-{os.getpid()}").touch()
        while not (BASE / "go").exists():
            time.sleep(0.01)
    if data == "mark":
        with (BASE / "marks").open("a") as marks:
            marks.write("1")
    if data == "exit":
        os._exit(3)
    if data == "segfault":
        ctypes.string_at(0)
    if data == "fork" and os.fork() > 0:
        os._exit(4)  # the child holds a copy of the worker's socket
    if data == "fork":
        (BASE / "child.new").write_text(str(os.getpid()))
        (BASE / "child.new").rename(BASE / "child")
        time.sleep(600)
    if data == "environment":
        return "\\n".join(f"{name}={value}" for name, value in os.environ.items())
    return str(os.getpid())

def input_fn(body, content_type):
    return body

def output_fn(prediction, accept):
    return prediction
"""


def ready(start, tmp_path, **variables):
    (tmp_path / "load").touch()
    return start(GATED, **variables).wait_until_ready()


def begun(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("began-*"))
