"""Every hyperparameter of the tasks image, text and multimodal in one table.

It drives parsing, the error texts and the README. The names are those of AutoGluon's `MultiModalPredictor`
and its `fit`, and what is not given here is left to AutoGluon and its presets.
"""

from __future__ import annotations

from opt_ml.training.hyperparameters import Hyperparameter

from opt_ml_autogluon.tasks import TASK

PRESETS = ("medium_quality", "high_quality", "best_quality", "multilingual")
PROBLEM_TYPES = ("auto", "binary", "multiclass", "regression")
EVAL_METRICS = (
    "auto",
    *("accuracy", "log_loss", "roc_auc", "average_precision", "f1", "f1_macro", "f1_micro", "f1_weighted"),
    *("quadratic_kappa", "root_mean_squared_error", "r2", "pearsonr", "spearmanr"),
)

TABLE: tuple[Hyperparameter, ...] = (
    TASK,
    Hyperparameter(
        "label",
        "text",
        None,
        "Of text and multimodal: the label column, by name or position. Of images it is the folder's name.",
        aliases=("label_column", "target"),
    ),
    Hyperparameter(
        "image_columns",
        "json",
        None,
        "Of multimodal: columns of file names, relative to the channel. Default: those whose texts end as "
        "image files do.",
    ),
    Hyperparameter(
        "problem_type",
        "choice",
        "auto",
        "What kind of prediction it is, or found from the label.",
        choices=PROBLEM_TYPES,
    ),
    Hyperparameter(
        "eval_metric",
        "choice",
        "auto",
        "The metric that decides; by default accuracy, roc_auc of two classes, or root_mean_squared_error.",
        choices=EVAL_METRICS,
    ),
    Hyperparameter(
        "presets", "choice", "medium_quality", "Which networks, the larger the better.", choices=PRESETS
    ),
    Hyperparameter("time_limit", "number", None, "Seconds for the fit. Default: none.", 0, above=True),
    Hyperparameter(
        "image_checkpoint",
        "text",
        None,
        "The network for images, by timm's name. Default: the preset's.",
    ),
    Hyperparameter(
        "text_checkpoint",
        "text",
        None,
        "The network for text, by its name on the model hub. Default: the preset's.",
    ),
    Hyperparameter(
        "pretrained",
        "truth",
        True,
        "Begin with pretrained weights, from the channel of this name; false begins with random ones.",
    ),
    Hyperparameter("max_epochs", "integer", None, "Passes over the data. Default: the preset's.", 1, 10_000),
    Hyperparameter("batch_size", "integer", None, "Rows of a step. Default: 128.", 1),
    Hyperparameter(
        "per_gpu_batch_size", "integer", None, "Rows that a device takes at a time. Default: the preset's.", 1
    ),
    Hyperparameter("learning_rate", "number", None, "Default: the preset's.", 0, above=True, aliases=("lr",)),
    Hyperparameter("image_size", "integer", None, "Pixels of a side. Default: the network's.", 8, 4096),
    Hyperparameter("max_text_len", "integer", None, "Tokens of a text. Default: 512.", 1),
    Hyperparameter(
        "hyperparameters",
        "json",
        None,
        'More of AutoGluon\'s own: `{"optim.patience": 3, "optim.peft": "lora"}`.',
    ),
    Hyperparameter(
        "holdout_frac",
        "number",
        0.2,
        "Share of the train rows to hold out where there is no validation channel.",
        0,
        0.9,
        above=True,
    ),
    Hyperparameter("num_gpus", "integer", None, "GPUs to train on. Default: all of the instance.", 0),
    Hyperparameter("seed", "integer", 0, "Seed of the split and of the fit.", 0),
    Hyperparameter(
        "header",
        "choice",
        "auto",
        "Whether CSV files begin with column names.",
        choices=("auto", "true", "false"),
    ),
    Hyperparameter("verbosity", "integer", 2, "How much AutoGluon says.", 0, 4),
)
