"""model.json: what was trained from what; it lies beside AutoGluon's own files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from opt_ml.errors import UserError

from opt_ml_autogluon.tabular.columns import Columns

FORMAT = 1
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class Description:
    """What serving needs of model.json.

    Attributes:
        columns: of the training.
        problem_type: `binary`, `multiclass`, `regression` or `quantile`.
    """

    columns: Columns
    problem_type: str


def read_description(directory: Path) -> Description:
    """The description of the model in a directory.

    Raises:
        UserError: no model.json, or one that is broken or of another format.
    """
    path = directory / DESCRIPTION
    if not path.exists():
        raise UserError(
            f"{path} does not exist. Serve a model that this image's train command wrote, with all files, or "
            "bring code/inference.py with model_fn and transform_fn for one of your own."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise UserError(
                f"{path} has format {content['format']!r}, this image reads {FORMAT}. Serve it with the "
                "image that trained it."
            )
        return Description(Columns.from_json(content["columns"]), str(content["problem_type"]))
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}: {error}). "
            "Serve a model that this image's train command wrote, as it wrote it."
        ) from None
