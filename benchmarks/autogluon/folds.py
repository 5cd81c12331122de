"""Folds of bagging side by side by Ray, and one after the other: the same job in both images, in turn.

Usage: .venv/bin/python -m benchmarks.autogluon.folds [--folds 4] [--models GBM,CAT,NN_TORCH] [--rows 4177]
    [--rounds 2]

`autogluon-full-cpu` has Ray and fits the folds of a model side by side; `autogluon-cpu` is the same image
without it, and fits one after the other, each with all CPUs. Jobs train on rows shaped like the abalone data.
Seconds are those of the whole job, Ray's start included; nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from examples.autogluon.shells import COLUMNS, ROWS, made_up, write
from toolkit.building import images
from toolkit.jobs.job import Channel, TrainingJob, execute, plan

SIDE_BY_SIDE, IN_TURN = "autogluon-full-cpu", "autogluon-cpu"
SCORE = "validation-root_mean_squared_error"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folds", type=int, default=4, help="of each model (4)")
    parser.add_argument("--models", default="GBM,CAT,NN_TORCH", help="AutoGluon's names (GBM,CAT,NN_TORCH)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"of the table ({ROWS})")
    parser.add_argument("--rounds", type=int, default=2, help="jobs of each image (2)")
    options = parser.parse_args(arguments)
    seconds: dict[str, list[float]] = {SIDE_BY_SIDE: [], IN_TURN: []}
    scores: dict[str, list[float]] = {SIDE_BY_SIDE: [], IN_TURN: []}
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory) / "train" / "rows.csv", [COLUMNS, *made_up(options.rows, seed=1)])
        for _ in range(options.rounds):
            for image in seconds:
                duration, score = _train(image, Path(directory), options.folds, options.models)
                seconds[image].append(duration)
                scores[image].append(score)
    for image, found in seconds.items():
        each = ", ".join(f"{one:.1f}" for one in found)
        print(f"{image:>18}  {statistics.median(found):6.1f} s ({each}), error {scores[image][-1]:.4f}")
    ratio = statistics.median(seconds[IN_TURN]) / statistics.median(seconds[SIDE_BY_SIDE])
    print(f"{os.cpu_count()} CPUs: {options.folds} folds side by side are {ratio:.2f} times as fast.")
    return 0


def _train(image: str, directory: Path, folds: int, models: str) -> tuple[float, float]:
    """The seconds of one job, and the error of its best model on rows that the folds left out."""
    job = TrainingJob(
        image=images.find(image).reference,
        channels=(Channel("train", directory / "train", "text/csv"),),
        hyperparameters={
            "label": "rings",
            "problem_type": "regression",
            "num_bag_folds": str(folds),
            "included_model_types": models,
            "feature_importance": "false",
            "verbosity": "0",
        },
        jobs_dir=directory / "jobs",
    )
    result = execute(plan(job))
    if result.model is None:
        raise SystemExit(result.summary())
    return result.duration, result.metrics[SCORE]


if __name__ == "__main__":
    sys.exit(main())
