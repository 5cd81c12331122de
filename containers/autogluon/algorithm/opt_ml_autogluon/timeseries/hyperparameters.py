"""Every hyperparameter of task=timeseries in one table: it drives parsing, the error texts and the README.

The names are those of AutoGluon's `TimeSeriesPredictor` and its `fit`.
"""

from __future__ import annotations

from opt_ml.training.hyperparameters import Hyperparameter
from opt_ml.training.table_hyperparameters import HEADER

from opt_ml_autogluon.tasks import TASK

PRESET_ALIASES = {"best": "best_quality", "high": "high_quality", "medium": "medium_quality"}
PRESETS = (
    *("best_quality", "high_quality", "medium_quality", "chronos2", "chronos2_small", "chronos2_ensemble"),
    *("bolt_tiny", "bolt_mini", "bolt_small", "bolt_base"),
)
# AutoGluon's named sets of models.
CONFIGURATIONS = ("light", "default")
MODEL_TYPES = (
    *("Naive", "SeasonalNaive", "Average", "SeasonalAverage", "Zero", "NPTS", "AutoARIMA", "ARIMA"),
    *("AutoETS", "ETS", "DynamicOptimizedTheta", "Theta", "AutoCES", "ADIDA", "Croston", "IMAPA"),
    *("DirectTabular", "RecursiveTabular", "PerStepTabular", "DeepAR", "SimpleFeedForward"),
    *("TemporalFusionTransformer", "DLinear", "PatchTST", "WaveNet", "TiDE"),
    *("Chronos", "Chronos2", "Toto", "Toto2"),
)
EVAL_METRICS = ("SQL", "WQL", "MAE", "MAPE", "MASE", "MSE", "RMSE", "RMSLE", "RMSSE", "SMAPE", "WAPE", "MQL")
# What each way of filling gaps is called by AutoGluon's TimeSeriesDataFrame.fill_missing_values.
FILLS = {"missing": None, "forward": "ffill", "interpolate": "interpolate", "zero": "constant"}

TABLE: tuple[Hyperparameter, ...] = (
    TASK,
    Hyperparameter(
        "target",
        "text",
        None,
        "Column to forecast: a name or a position. Default: `target`, `label` or `y`, else the last column.",
        aliases=("label",),
    ),
    Hyperparameter(
        "item_id",
        "text",
        None,
        "Column that says which series a row belongs to. Default: `item_id`, `unique_id` or `id`; without "
        "one all rows are one series.",
        aliases=("id_column",),
    ),
    Hyperparameter(
        "timestamp",
        "text",
        None,
        "Column of the time (ISO 8601). Default: `timestamp`, `ds`, `datetime`, `date` or `time`.",
        aliases=("timestamp_column",),
    ),
    Hyperparameter("prediction_length", "integer", 1, "Steps to forecast.", 1, 10_000),
    Hyperparameter(
        "known_covariates",
        "json",
        None,
        "Columns whose future values are known: a list, or names with commas between. Other columns count "
        "as past covariates.",
        aliases=("known_covariates_names",),
    ),
    Hyperparameter(
        "static_features", "json", None, "Columns that say something of the series and never change in it."
    ),
    Hyperparameter(
        "freq",
        "text",
        None,
        "Step of the series, as pandas calls it: D, h, 15min, W-SUN, MS. Default: found from the timestamps.",
    ),
    Hyperparameter(
        "fill_gaps",
        "choice",
        "refuse",
        "What becomes of steps without a row, and of targets that are missing: an error, or filled. A job "
        "and its endpoint do the same.",
        choices=("refuse", *FILLS),
    ),
    Hyperparameter(
        "quantile_levels", "json", None, "A list of numbers between 0 and 1. Default: 0.1 to 0.9."
    ),
    Hyperparameter("eval_metric", "choice", "WQL", "The metric that decides.", choices=EVAL_METRICS),
    Hyperparameter(
        "presets",
        "choice",
        "medium_quality",
        "How much is tried. Those of Chronos need its weights.",
        choices=(*PRESETS, *PRESET_ALIASES),
    ),
    Hyperparameter("time_limit", "number", None, "Seconds for all fits. Default: none.", 0, above=True),
    Hyperparameter(
        "hyperparameters",
        "json",
        None,
        'The models to fit, as AutoGluon\'s argument of this name: `{"ETS": {}, "DeepAR": {}}`, '
        "or the name of a set: " + ", ".join(CONFIGURATIONS) + ". Default: the preset's.",
    ),
    Hyperparameter("excluded_model_types", "list", None, "Not these of the models.", choices=MODEL_TYPES),
    Hyperparameter(
        "num_val_windows", "integer", None, "Windows to measure on. Default: the preset's.", 1, 100
    ),
    Hyperparameter("refit_full", "truth", False, "Fit once more with the last window, which was held out."),
    Hyperparameter("random_seed", "integer", 123, "Seed of all models.", 0),
    HEADER,
    Hyperparameter("save_space", "truth", True, "Keep the best model and what it is made of, and no data."),
    Hyperparameter("verbosity", "integer", 2, "How much AutoGluon says.", 0, 4),
)
