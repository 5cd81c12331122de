"""The job's hyperparameters, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opt_ml.errors import UserError
from opt_ml.training.settings import TableSettings

from opt_ml_autogluon.multimodal.hyperparameters import TABLE

# By AutoGluon's own names.
_OVERRIDES = {
    "image_checkpoint": "model.timm_image.checkpoint_name",
    "text_checkpoint": "model.hf_text.checkpoint_name",
    "image_size": "model.timm_image.image_size",
    "max_text_len": "model.hf_text.max_text_len",
    "max_epochs": "optim.max_epochs",
    "learning_rate": "optim.lr",
    "batch_size": "env.batch_size",
    "per_gpu_batch_size": "env.per_gpu_batch_size",
}


class Settings(TableSettings):
    """The values of a job, every default filled in; None where AutoGluon or the data decide."""

    table = TABLE

    def overrides(self, models: list[str]) -> dict[str, Any]:
        """AutoGluon's configuration beyond the preset's.

        Args:
            models: the parts of the network, such as `timm_image`; what belongs to others is left out.
        """
        given = {name: self[key] for key, name in _OVERRIDES.items() if self[key] is not None}
        found: dict[str, Any] = {**given, **(self["hyperparameters"] or {})}
        return {
            name: value
            for name, value in found.items()
            if not name.startswith("model.") or name.split(".")[1] in models
        }

    @classmethod
    def completed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """As with every table; AutoGluon's own names need their dots, and columns of images are a list."""
        values = super().completed(given)
        more = values["hyperparameters"]
        if more is not None and not (isinstance(more, dict) and all("." in name for name in more)):
            raise UserError(
                "Hyperparameter hyperparameters must be a JSON object of AutoGluon's names, such as "
                f'{{"optim.patience": 3}}, but is {str(more)[:100]}.'
            )
        columns = values["image_columns"]
        if columns is not None:
            listed = columns if isinstance(columns, list) else str(columns).split(",")
            values["image_columns"] = [str(name).strip() for name in listed]
        return values
