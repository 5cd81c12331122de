"""What a fit of series depends on: checkpoints serve a job of the same of all this only."""

from __future__ import annotations

from typing import Any

from opt_ml_autogluon import progress
from opt_ml_autogluon.timeseries.channels import Data
from opt_ml_autogluon.timeseries.settings import Settings

LIBRARIES = ("autogluon.timeseries", "gluonts", "lightgbm", "mlforecast", "statsforecast", "torch")


def identity(settings: Settings, data: Data) -> dict[str, Any]:
    """In parts that a person can name."""
    files = progress.contents(data.rows)
    return progress.identity(settings, LIBRARIES, columns=data.columns.to_json(), data=files)
