"""The table of hyperparameters: the README shows it, and AutoGluon knows what it names."""

from __future__ import annotations

from pathlib import Path

from autogluon.core.metrics import METRICS
from autogluon.tabular.configs.hyperparameter_configs import hyperparameter_config_dict
from autogluon.tabular.configs.presets_configs import tabular_presets_alias, tabular_presets_dict
from autogluon.tabular.registry import ag_model_registry
from opt_ml.training.hyperparameters import markdown
from opt_ml_autogluon.tabular.hyperparameters import (
    CONFIGURATIONS,
    EVAL_METRICS,
    MODEL_TYPES,
    PRESET_ALIASES,
    PRESETS,
    TABLE,
)

README = Path(__file__).parents[4] / "containers" / "autogluon" / "README.md"


def test_the_readme_shows_the_table():
    assert markdown(TABLE) in README.read_text(encoding="utf-8")


def test_autogluon_knows_every_choice():
    assert set(PRESETS) <= set(tabular_presets_dict)
    assert PRESET_ALIASES.items() <= tabular_presets_alias.items()
    assert set(CONFIGURATIONS) <= set(hyperparameter_config_dict)
    assert set(MODEL_TYPES) <= set(ag_model_registry.keys)
    known = {name for metrics in METRICS.values() for name in metrics}
    assert set(EVAL_METRICS) - {"auto"} <= known
