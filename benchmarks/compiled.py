"""The compiled ensemble against the models themselves, in one process on one thread, by rows a call.

Usage: .venv/bin/python benchmarks/compiled.py [--image ensemble-cpu] [--rounds 15]

Trains two ensembles in the image and measures them there: 900 boosted trees (300 of CatBoost, XGBoost and
scikit-learn each, of depth 6), and the default models. The ways to predict take turns, each call gets other
rows, and the figures are medians. `served` is what a worker chooses for so many rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1000)
JOBS = {
    "900 trees": {
        "models": "catboost,xgboost,hist_gradient_boosting",
        "num_round": "300",
        "max_depth": "6",
        "blend": "mean",
        "k_fold": "0",
        "early_stopping_rounds": "0",
    },
    "the default models": {"blend": "mean", "k_fold": "0"},
}


def main() -> None:
    """On the host: run this file in the image."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--image", default="ensemble-cpu")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from toolkit.building.images import local_reference

    program = "/benchmark.py"
    command = ["docker", "run", "--rm", "--network=none", "-e", "OMP_NUM_THREADS=1"]
    command += ["-e", f"ROUNDS={arguments.rounds}", "-v", f"{Path(__file__).resolve()}:{program}:ro"]
    subprocess.run([*command, local_reference(arguments.image), "python", program], check=True)


def inside(rounds: int) -> None:
    """In the image: train, measure, print."""
    for name, hyperparameters in JOBS.items():
        with tempfile.TemporaryDirectory(prefix="compiled-") as scratch:
            rows, model_dir = train(Path(scratch), hyperparameters)
            show(name, model_dir, rows, rounds)


def train(base: Path, hyperparameters: dict[str, str]) -> tuple[Any, Path]:
    """Rows to predict, and the model directory of a job on the diabetes data, ten times with noise."""
    import numpy as np
    from opt_ml.environment import read_environment
    from opt_ml_ensemble.train import train as train_ensemble
    from sklearn.datasets import load_diabetes

    values, label = load_diabetes(return_X_y=True)
    rng = np.random.default_rng(0)
    noisy = np.concatenate([values + rng.normal(0, 0.005, values.shape) for _ in range(10)])
    table = np.column_stack([np.tile(label, 10), noisy])
    channel, config = base / "input" / "data" / "train", base / "input" / "config"
    channel.mkdir(parents=True)
    config.mkdir(parents=True)
    np.savetxt(channel / "train.csv", table, delimiter=",", fmt="%.6g")
    (config / "hyperparameters.json").write_text(json.dumps({"label": "0", **hyperparameters}))
    (config / "inputdataconfig.json").write_text(json.dumps({"train": {"TrainingInputMode": "File"}}))
    environment = read_environment(base)
    with Path(os.devnull).open("w") as nowhere:
        before, sys.stdout = sys.stdout, nowhere
        try:
            train_ensemble(environment)
        finally:
            sys.stdout = before
    rows = values[rng.integers(0, len(values), 4000)] + rng.normal(0, 0.005, (4000, values.shape[1]))
    return rows.astype(np.float32), environment.model_dir


def show(name: str, model_dir: Path, rows: Any, rounds: int) -> None:
    """One table: microseconds a row."""
    from opt_ml_ensemble.handler import model_fn

    served = model_fn(str(model_dir))
    if served.compiled is None:
        raise SystemExit(f"{name}: not compiled, or never faster")
    ways: dict[str, Callable[[Any], Any]] = {"native": served.bundle.predict, "graph": served.compiled.graph}
    if served.compiled.trees is not None:
        ways["trees"] = served.compiled.trees
    ways["served"] = served.predict
    apart = abs(served.compiled.predict(rows) - served.bundle.predict(rows)).max()
    print(f"\n{name}: us a row, medians of {rounds} rounds; {apart:.1e} apart at most")
    print(f"{'rows':>6}" + "".join(f"{way:>10}" for way in ways) + f"{'native / served':>18}")
    for size in SIZES:
        times = measure(ways, rows, size, rounds)
        ratio = times["native"] / times["served"]
        print(f"{size:6}" + "".join(f"{times[way]:10.1f}" for way in ways) + f"{ratio:18.2f}", flush=True)


def measure(ways: dict[str, Callable[[Any], Any]], rows: Any, size: int, rounds: int) -> dict[str, float]:
    """By way: the median of the rounds; in a round each predicts the same batches, one way after another."""
    batches = max(1, min(50, 500 // size))
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        starts = [(number * batches + batch) * size % (len(rows) - size + 1) for batch in range(batches)]
        for way, predict in ways.items():
            started = time.perf_counter()
            for start in starts:
                predict(rows[start : start + size])
            times[way].append((time.perf_counter() - started) / batches / size * 1e6)
    return {way: statistics.median(found) for way, found in times.items()}


if __name__ == "__main__":
    if "ROUNDS" in os.environ:
        inside(int(os.environ["ROUNDS"]))
    else:
        main()
