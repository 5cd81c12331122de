"""Every hyperparameter in one table: it drives parsing, the error texts and the README.

The names are those of AutoGluon's `TabularPredictor` and its `fit`, and what is not given here is left to
AutoGluon and its presets.
"""

from __future__ import annotations

from opt_ml.training.hyperparameters import Hyperparameter
from opt_ml.training.table_hyperparameters import HEADER, HOST_TIMEOUT, LABEL, WEIGHT_COLUMN

from opt_ml_autogluon.tasks import TASK

PROBLEM_TYPES = ("auto", "binary", "multiclass", "regression", "quantile")
# Of AutoGluon's presets those whose models this image holds; the others need pretrained weights.
PRESETS = (
    "best_quality",
    "best_quality_v150",
    "high_quality",
    "high_quality_v150",
    "good_quality",
    "medium_quality",
    "optimize_for_deployment",
    "ignore_text",
    "ignore_text_ngrams",
)
PRESET_ALIASES = {
    "best": "best_quality",
    "high": "high_quality",
    "good": "good_quality",
    "medium": "medium_quality",
}
# AutoGluon's names of the models that this image holds.
MODEL_TYPES = ("GBM", "CAT", "XGB", "RF", "XT", "KNN", "LR", "NN_TORCH", "TABM", "GBM_PREP", "DUMMY")
# AutoGluon's named sets of models and their hyperparameters, of models that this image holds.
CONFIGURATIONS = (
    "default",
    "light",
    "very_light",
    "toy",
    "zeroshot",
    "zeroshot_2023",
    "zeroshot_2025_12_18_cpu",
)
EVAL_METRICS = (
    "auto",
    *("accuracy", "balanced_accuracy", "log_loss", "f1", "f1_macro", "f1_micro", "f1_weighted", "roc_auc"),
    *("roc_auc_ovo", "roc_auc_ovr", "average_precision", "precision", "precision_macro", "precision_micro"),
    *("precision_weighted", "recall", "recall_macro", "recall_micro", "recall_weighted", "mcc", "pac"),
    "quadratic_kappa",
    *("root_mean_squared_error", "rmse", "mean_squared_error", "mse", "mean_absolute_error", "mae"),
    *("median_absolute_error", "mean_absolute_percentage_error", "mape"),
    *("symmetric_mean_absolute_percentage_error", "smape", "r2", "pearsonr", "spearmanr", "pinball_loss"),
)

_DATA = (
    TASK,
    LABEL,
    WEIGHT_COLUMN,
    HEADER,
    Hyperparameter(
        "problem_type",
        "choice",
        "auto",
        "What kind of prediction it is, or found from the label.",
        choices=PROBLEM_TYPES,
    ),
    Hyperparameter(
        "quantile_levels",
        "json",
        None,
        "For problem_type quantile: a list of numbers between 0 and 1. Default: 0.1 to 0.9.",
    ),
    Hyperparameter(
        "eval_metric",
        "choice",
        "auto",
        "The metric that decides; by default root_mean_squared_error or accuracy.",
        choices=EVAL_METRICS,
    ),
)

_FIT = (
    Hyperparameter(
        "presets",
        "list",
        ("medium_quality",),
        "How much is tried; the later wins where two differ.",
        choices=(*PRESETS, *PRESET_ALIASES),
    ),
    Hyperparameter(
        "time_limit", "number", None, "Seconds for all fits. Default: the preset's.", 0, above=True
    ),
    Hyperparameter(
        "hyperparameters",
        "json",
        None,
        'The models to fit, as AutoGluon\'s argument of this name: `{"GBM": {"num_boost_round": 100}}`, a '
        "list of several variants of one, or the name of a set: " + ", ".join(CONFIGURATIONS) + ".",
    ),
    Hyperparameter("included_model_types", "list", None, "Only these of the models.", choices=MODEL_TYPES),
    Hyperparameter("excluded_model_types", "list", None, "Not these of the models.", choices=MODEL_TYPES),
    Hyperparameter("num_bag_folds", "integer", None, "Folds of bagging; 0 turns it off.", 0, 50),
    Hyperparameter("num_bag_sets", "integer", None, "How often bagging is repeated.", 1, 100),
    Hyperparameter("num_stack_levels", "integer", None, "Levels of stacking.", 0, 4),
    Hyperparameter("auto_stack", "truth", None, "Let AutoGluon choose bagging and stacking."),
    Hyperparameter(
        "dynamic_stacking", "truth", None, "Try first whether stacking overfits, in a quarter of the time."
    ),
    Hyperparameter(
        "holdout_frac",
        "number",
        None,
        "Share of the train rows to hold out where there is no validation channel and no bagging.",
        0,
        0.9,
        above=True,
    ),
    Hyperparameter(
        "use_bag_holdout",
        "truth",
        None,
        "With bagging, hold rows out (or the validation channel) all the same.",
    ),
    Hyperparameter(
        "refit_full",
        "choice",
        None,
        "Fit the best or all models once more on all rows: one model for a bag of them.",
        choices=("false", "best", "all", "true"),
    ),
    Hyperparameter("set_best_to_refit_full", "truth", None, "Serve the model that refit_full made."),
    Hyperparameter(
        "calibrate", "choice", None, "Calibrate probabilities.", choices=("auto", "true", "false")
    ),
    Hyperparameter(
        "infer_limit",
        "number",
        None,
        "Seconds that a row may take when serving: slower models are left out.",
        0,
        above=True,
    ),
    Hyperparameter(
        "infer_limit_batch_size", "integer", None, "Rows of a request that infer_limit is meant for.", 1
    ),
    Hyperparameter(
        "distill", "truth", False, "Fit single models on what the ensemble says, and serve the best of them."
    ),
    Hyperparameter(
        "num_cpus",
        "integer",
        None,
        "CPUs for training, of each host. Default: every usable one.",
        1,
        aliases=("nthread",),
    ),
    HOST_TIMEOUT,
)

_OUTPUT = (
    Hyperparameter(
        "save_space",
        "truth",
        True,
        "Keep the best model and what it is made of; otherwise every model and the data, for `fit_extra`.",
    ),
    Hyperparameter(
        "feature_importance",
        "truth",
        True,
        "Measure by permutation what each column is worth, for the report.",
    ),
    Hyperparameter("verbosity", "integer", 2, "How much AutoGluon says.", 0, 4),
)

TABLE: tuple[Hyperparameter, ...] = (*_DATA, *_FIT, *_OUTPUT)
