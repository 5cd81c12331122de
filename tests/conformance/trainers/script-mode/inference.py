"""The handler of the model that train.py leaves: one mean for each row."""

import csv
import io
import json
from pathlib import Path


def model_fn(model_dir):
    """What train.py has written."""
    return json.loads((Path(model_dir) / "model.json").read_text())


def input_fn(body, content_type):
    """Rows of numbers."""
    if content_type.partition(";")[0].strip().lower() != "text/csv":
        raise ValueError(f"{content_type} is not text/csv")
    text = body if isinstance(body, str) else body.decode()
    return [[float(value) for value in row] for row in csv.reader(io.StringIO(text)) if row]


def predict_fn(rows, model):
    """The mean for each."""
    return [model["mean"] for _ in rows]


def output_fn(prediction, accept):
    """One line each."""
    return "".join(f"{value}\n" for value in prediction), "text/csv"
