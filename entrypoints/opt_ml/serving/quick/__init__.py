"""The quick path: a compiled model that answers small requests inside the server's own processes.

A worker imports frameworks and is reached over a socket; a request of one row spends most of its time on
the way. An image's package may declare a quick path beside its handler:

    [project.entry-points."opt_ml.quick"]
    ensemble = "opt_ml_ensemble.quick:load_quick"

`load_quick(model_dir: Path) -> Quick | None` stands in a module that imports no framework where it can do
without, so that a container is healthy in a fraction of a second and small. None says that this model has no
quick path.

Only the image's own handler has one: a model that brings code of its own is served by workers, and so is
everything under `OPT_ML_COMPILED=off`.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from opt_ml.algorithm import find_built_in
from opt_ml.errors import UserError
from opt_ml.serving.answers import Answer
from opt_ml.serving.settings import is_multi_model


class QuickRequest(NamedTuple):
    """What a quick path sees of a request; None where the client sent no such header."""

    body: bytes
    content_type: str | None
    accept: str | None


class Quick(Protocol):
    """A model that predicts small requests in well under 2 ms, in the thread of the event loop.

    Attributes:
        most_rows: rows that one call may take, of all its requests together: as many as are faster here
            than in a worker, and take about 2 ms at most. The server passes no more requests than that,
            and no more than `JOINED_BYTES` of bodies; a request with too many rows is refused with None.
    """

    most_rows: int

    def answer(self, requests: Sequence[QuickRequest]) -> list[Answer | None]:
        """The answers, in the order of the requests.

        A request that is wrong gets its 4xx answer, and its neighbours theirs. None says that a worker
        must do this one: too many rows, another media type, anything out of the ordinary.
        """


JOINED_BYTES = 1 << 18
"""Bytes of the bodies of one call."""


def find_quick(model_dir: Path, environment: Mapping[str, str] = os.environ) -> Quick | None:
    """The quick path of a single-model endpoint, or None where workers do everything.

    Raises:
        UserError: see `quick_path_of`.
    """
    return None if is_multi_model(environment) else quick_path_of(model_dir, environment)


def quick_path_of(model_dir: Path, environment: Mapping[str, str] = os.environ) -> Quick | None:
    """The quick path for the model in `model_dir`, or None where it has none.

    A quick path that fails to load is no reason not to serve: the workers have the model itself. Why it
    failed is written to stderr.

    Raises:
        UserError: OPT_ML_COMPILED is neither `on` nor `off`.
    """
    if not is_wanted(environment) or _brings_code(model_dir, environment):
        return None
    try:
        load = find_built_in("opt_ml.quick")
        quick: Quick | None = None if load is None else load(model_dir)
    except Exception as error:
        cause = (
            f"The compiled model is not used ({type(error).__name__}: {error}). Workers serve all requests."
        )
        print(f"{cause}\n{traceback.format_exc()}".rstrip(), file=sys.stderr, flush=True)
        return None
    return quick


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """False under OPT_ML_COMPILED=off, and for many models, which need the memory for themselves.

    Raises:
        UserError: OPT_ML_COMPILED is neither `on` nor `off`.
    """
    word = environment.get("OPT_ML_COMPILED", "").strip().lower() or "on"
    if word not in ("on", "off"):
        raise UserError(f"OPT_ML_COMPILED={word!r} must be on or off.")
    return word == "on"


def _brings_code(model_dir: Path, environment: Mapping[str, str]) -> bool:
    return bool(environment.get("SAGEMAKER_PROGRAM")) or (model_dir / "code" / "inference.py").is_file()
