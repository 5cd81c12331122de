"""Facts of the ensemble image, from outside."""

from __future__ import annotations

import subprocess


def test_catboost_drags_in_no_plotting_library(our_image):
    names = ("plotly", "graphviz", "matplotlib")
    probe = f"from importlib.util import find_spec; print([name for name in {names} if find_spec(name)])"
    command = ["docker", "run", "--rm", our_image.reference, "python", "-c", probe]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_onnx_runtime_tells_nobody_about_models(our_image):
    """Where it would, it keeps an id of the device: a read-only root has no place for it, and it says so."""
    call = ["docker", "run", "--rm", "--read-only", "--user", "1000:1000", our_image.reference]
    ended = subprocess.run(
        [*call, "python", "-c", "import onnxruntime"], capture_output=True, text=True, check=True
    )
    assert (ended.stdout, ended.stderr) == ("", "")
