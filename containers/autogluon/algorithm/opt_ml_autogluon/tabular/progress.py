"""How far a fit of tables has come: a line for each model, and checkpoints of those that are whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autogluon.core.callbacks import AbstractCallback
from opt_ml.tables.files import Rows
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints
from opt_ml.training.metric_lines import print_metrics

from opt_ml_autogluon import progress
from opt_ml_autogluon.tabular.columns import Columns
from opt_ml_autogluon.tabular.settings import Settings

LIBRARIES = ("autogluon.tabular", "catboost", "lightgbm", "scikit-learn", "torch", "xgboost-cpu")
_CORE = "core"  # AutoGluon's word for models other than ensembles of their predictions


def identity(settings: Settings, columns: Columns, rows: Mapping[str, Rows]) -> dict[str, Any]:
    """What the models of a job depend on, in parts that a person can name."""
    return progress.identity(settings, LIBRARIES, columns=columns.to_json(), data=progress.contents(rows))


class Progress(AbstractCallback):  # type: ignore[misc]
    """AutoGluon calls it before and after each model.

    A model of the checkpoints is not fitted again but taken as it is; its scores, the stacking on it and the
    ensemble are made as if it had just been fitted.

    Args:
        checkpoints: None for a job that keeps none.

    Attributes:
        earlier_seconds: that the fits before an interruption took.
        fits_begun: models that AutoGluon has begun with.
    """

    def __init__(self, checkpoints: Checkpoints | None) -> None:
        super().__init__()
        self._models = progress.ModelCheckpoints(checkpoints)
        self.earlier_seconds = self._models.earlier_seconds
        self.fits_begun = 0

    def _before_model_fit(self, trainer: Any, model: Any, **facts: Any) -> tuple[bool, bool]:
        self.fits_begun += 1
        if stopping.requested():
            return True, False
        earlier = self._models.restored(model)
        if earlier is not None:
            model.fit = lambda **_: earlier
        return False, False

    def _after_model_fit(
        self, trainer: Any, model_names: list[str], stack_name: str = _CORE, **facts: Any
    ) -> bool:
        for name in model_names:
            score = trainer.get_model_attribute(model=name, attribute="val_score")
            if score is not None:
                metric = trainer.eval_metric
                print_metrics(f"validation-{name}", {metric.name: metric.convert_score_to_original(score)})
            # CatBoost, for one, takes the exception of a stop for the end of its rounds.
            if stack_name == _CORE and not stopping.requested():
                self._models.keep(trainer, name)
        return bool(stopping.requested())
