"""The handler of the model that train.py leaves: a number for each row; the rest is the image's own."""

import json
from pathlib import Path


def model_fn(model_dir):
    """What train.py has written."""
    return json.loads((Path(model_dir) / "model.json").read_text())


def predict_fn(rows, model):
    """The mean label, moved by as much as the row's features differ from theirs."""
    if getattr(rows, "ndim", 2) == 1:  # AWS's toolkits make one line of CSV one dimension
        rows = rows.reshape(1, -1)
    return [model["mean"] + sum(map(float, row)) / len(row) - model["center"] for row in rows]
