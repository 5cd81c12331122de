"""The model that every peer serves, and the requests that every peer gets."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.serving import environments
from benchmarks.serving.environments import PLACE, Environment

# scikit-learn's part is HistGradientBoosting: `predict` of one row takes 1.3 ms there, and 9.4 ms in its
# ExtraTrees, with which every peer would be several times slower.
HYPERPARAMETERS = {
    "label": "target",
    "models": "catboost,xgboost,hist_gradient_boosting",
    "blend": "mean",
    "num_round": "300",
    "eta": "0.01",  # slow enough for the best round to be the last
    "max_depth": "5",
    "early_stopping_rounds": "0",
    "k_fold": "2",
}
_WRITE_DATA = """
import sys
from sklearn.datasets import load_diabetes
load_diabetes(as_frame=True).frame.to_csv(sys.argv[1], index=False, float_format="%.10g")
"""
_SINGLE = 2000  # different one-row bodies
_LARGE = 20  # different bodies of LARGE_ROWS rows
LARGE_ROWS = 1000


def trained_model(environment: Environment) -> Path:
    """The model directory; trained by our own `train` where that was not done yet by the code as it is."""
    base = PLACE / "training"
    settings = base / "input" / "config" / "hyperparameters.json"
    stamp = base / "made-from"
    wanted = _fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return base / "model"
    shutil.rmtree(base, ignore_errors=True)
    for part in ("input/config", "input/data/train", "model", "output"):
        (base / part).mkdir(parents=True)
    settings.write_text(json.dumps(HYPERPARAMETERS))
    data = base / "input" / "data" / "train" / "diabetes.csv"
    subprocess.run([environment.python, "-c", _WRITE_DATA, data], check=True)
    variables = {**os.environ, "SAGEMAKER_BASE_DIR": str(base)}
    subprocess.run([environment.directory / "bin" / "train"], env=variables, check=True, capture_output=True)
    stamp.write_text(wanted)
    return base / "model"


def _fingerprint() -> str:
    digest = hashlib.sha256(json.dumps(HYPERPARAMETERS).encode())
    for package in environments.PACKAGES:
        for path in sorted(package.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def data_rows() -> list[str]:
    """Rows of the training data without the label, and as many again with every number changed a little."""
    lines = (PLACE / "training/input/data/train/diabetes.csv").read_text().splitlines()[1:]
    rows = [[float(cell) for cell in line.split(",")[:-1]] for line in lines]
    varied: list[str] = []
    for number in range(max(_SINGLE, LARGE_ROWS)):
        row = rows[number % len(rows)]
        shift = 1 + (number // len(rows)) * 0.013
        varied.append(",".join(f"{cell * shift:.10g}" for cell in row))
    return varied


def single_bodies() -> list[bytes]:
    """One row each."""
    return [f"{row}\n".encode() for row in data_rows()[:_SINGLE]]


def large_bodies() -> list[bytes]:
    """LARGE_ROWS rows each."""
    rows = data_rows()
    bodies = []
    for number in range(_LARGE):
        turned = rows[number * 37 :] + rows[: number * 37]
        bodies.append(("\n".join(turned[:LARGE_ROWS]) + "\n").encode())
    return bodies


def as_inference_protocol(bodies: Sequence[bytes]) -> list[bytes]:
    """The same rows as JSON of the open inference protocol (V2), for servers that take nothing else."""
    return [_to_protocol(body.decode()) for body in bodies]


def _to_protocol(text: str) -> bytes:
    rows = [[float(cell) for cell in line.split(",")] for line in text.splitlines()]
    flat = [cell for row in rows for cell in row]
    tensor = {"name": "rows", "datatype": "FP64", "shape": [len(rows), len(rows[0])], "data": flat}
    return json.dumps({"parameters": {"content_type": "np"}, "inputs": [tensor]}).encode()


def predictions(answer: bytes, is_protocol: bool) -> list[float]:
    """The numbers of an answer.

    Raises:
        ValueError, KeyError: it holds none.
    """
    if is_protocol:
        return [float(value) for value in json.loads(answer)["outputs"][0]["data"]]
    return [float(line) for line in answer.decode().split()]
