"""The table of hyperparameters: the README shows it, and AutoGluon knows what it names."""

from __future__ import annotations

from pathlib import Path

import pytest
from autogluon.core.metrics import METRICS
from autogluon.tabular.configs.hyperparameter_configs import hyperparameter_config_dict
from autogluon.tabular.configs.presets_configs import tabular_presets_alias, tabular_presets_dict
from autogluon.tabular.registry import ag_model_registry
from autogluon.timeseries.configs import get_hyperparameter_presets, get_predictor_presets
from autogluon.timeseries.configs.predictor_presets import TIMESERIES_PRESETS_ALIASES
from autogluon.timeseries.metrics import AVAILABLE_METRICS
from autogluon.timeseries.models.registry import ModelRegistry
from opt_ml.training.hyperparameters import markdown
from opt_ml_autogluon.multimodal import hyperparameters as multimodal
from opt_ml_autogluon.tabular import fitting
from opt_ml_autogluon.tabular.hyperparameters import (
    CONFIGURATIONS,
    EVAL_METRICS,
    MODEL_TYPES,
    PRESET_ALIASES,
    PRESETS,
    TABLE,
)
from opt_ml_autogluon.tabular.settings import Settings
from opt_ml_autogluon.timeseries import hyperparameters as timeseries

README = Path(__file__).parents[4] / "containers" / "autogluon" / "README.md"


@pytest.mark.parametrize(
    ("given", "has_folds"),
    [
        ({}, False),
        ({"num_bag_folds": "5"}, True),
        ({"presets": "best_quality"}, True),
        ({"presets": "high"}, True),
        ({"presets": "best_quality", "num_bag_folds": "0"}, False),
        ({"presets": "medium_quality", "auto_stack": "true"}, True),
    ],
)
def test_a_fit_of_bags_is_known_before_it_begins(given, has_folds):
    assert fitting.has_folds(Settings.read(given)) is has_folds


def test_the_readme_shows_the_table():
    assert markdown(TABLE) in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("task", [timeseries, multimodal], ids=["timeseries", "multimodal"])
def test_the_readme_shows_the_table_of_every_task(task):
    assert markdown(task.TABLE) in README.read_text(encoding="utf-8")


def test_autogluon_knows_every_choice_of_series():
    assert set(timeseries.PRESETS) <= set(get_predictor_presets())
    assert timeseries.PRESET_ALIASES.items() <= TIMESERIES_PRESETS_ALIASES.items()
    assert set(timeseries.CONFIGURATIONS) <= set(get_hyperparameter_presets())
    assert set(timeseries.MODEL_TYPES) <= set(ModelRegistry.available_aliases())
    assert set(timeseries.EVAL_METRICS) <= set(AVAILABLE_METRICS)


def test_autogluon_knows_every_choice():
    assert set(PRESETS) <= set(tabular_presets_dict)
    assert PRESET_ALIASES.items() <= tabular_presets_alias.items()
    assert set(CONFIGURATIONS) <= set(hyperparameter_config_dict)
    assert set(MODEL_TYPES) <= set(ag_model_registry.keys)
    known = {name for metrics in METRICS.values() for name in metrics}
    assert set(EVAL_METRICS) - {"auto"} <= known
