"""Requests that a model answers before the container says that it is healthy.

OPT_ML_WARM_UP=code/one.json,code/many.json names files in the model's directory, each the body of a request
of the type that its suffix says. A worker answers them all when it has loaded the model, as it answers a
client's: what a framework compiles, allocates or fetches at the first requests is there then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from opt_ml.errors import UserError
from opt_ml.serving.answers import Answer
from opt_ml.serving.media import CSV, JSON, JSON_LINES, LIBSVM, NPY, NPZ, OCTET_STREAM, PARQUET

_VARIABLE = "OPT_ML_WARM_UP"
_TYPES = {
    ".csv": CSV,
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": JSON,
    ".jsonl": JSON_LINES[0],
    ".libsvm": LIBSVM[0],
    ".npy": NPY,
    ".npz": NPZ,
    ".parquet": PARQUET[0],
    ".png": "image/png",
    ".txt": "text/plain",
}
_SHOWN = 300  # characters of an answer in an error


class Sample(NamedTuple):
    """One request: the file's name as it was given, and what a client would send."""

    name: str
    body: bytes
    content_type: str


def read_samples(model_dir: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Sample]:
    """What OPT_ML_WARM_UP names, in its order.

    Raises:
        UserError: a file that cannot be read.
    """
    names = (name.strip() for name in environment.get(_VARIABLE, "").split(","))
    for name in filter(None, names):
        path = model_dir / name
        try:
            yield Sample(name, path.read_bytes(), _TYPES.get(path.suffix.lower(), OCTET_STREAM))
        except OSError as error:
            raise UserError(
                f"{_VARIABLE}: {path} cannot be read ({error.strerror}). Name files that are in the model."
            ) from None


def check_answer(sample: Sample, answer: Answer) -> None:
    """Accept the answer to a sample.

    Raises:
        UserError: it is an error: what the model cannot answer now, it cannot answer later.
    """
    if answer.status >= 400:
        text = answer.body.decode(errors="replace")[:_SHOWN]
        raise UserError(f"{_VARIABLE}: the model answers {sample.name} with {answer.status}: {text}")
