r"""A training script as SageMaker runs it: hyperparameters as arguments, everything else in SM_* variables.

Run it on the data that `make demo` has written:

    ./build.py train ensemble-cpu --source-dir examples/script --entry-point train.py \
        --channel train=jobs/demo/input/data/train --hyperparameter alpha=0.5
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pandas as pd
from sklearn.linear_model import Ridge


def main() -> None:
    """Fit a ridge regression and write its coefficients to the model directory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--label", default="progression")
    arguments = parser.parse_args()

    files = sorted(Path(os.environ["SM_CHANNEL_TRAIN"]).glob("*.csv"))
    rows = pd.concat([pd.read_csv(file) for file in files])
    features, label = rows.drop(columns=arguments.label), rows[arguments.label]
    model = Ridge(alpha=arguments.alpha).fit(features, label)

    # A line of this form is a metric: of the job's result, and for a tuning job.
    print(f"train-r2={model.score(features, label):.4f};")
    coefficients = dict(zip(features.columns, model.coef_.tolist(), strict=True))
    Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(coefficients, indent=2))


if __name__ == "__main__":
    main()
