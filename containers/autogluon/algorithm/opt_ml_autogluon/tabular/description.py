"""model.json of a task of tables: what serving needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opt_ml_autogluon.model_json import read_model_json
from opt_ml_autogluon.tabular.columns import Columns


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
    with read_model_json(directory) as content:
        return Description(Columns.from_json(content["columns"]), str(content["problem_type"]))
