"""The hyperparameters that say how a table is read, the same in every image that trains on tables."""

from __future__ import annotations

from opt_ml.training.hyperparameters import Hyperparameter

LABEL = Hyperparameter(
    "label",
    "text",
    None,
    "Label column: a name, or a position counted from 0 (-1 is the last). Default: see Channels.",
    aliases=("label_column", "target"),
)
WEIGHT_COLUMN = Hyperparameter(
    "weight_column",
    "text",
    None,
    "Column of sample weights, by name or position. Default: none.",
    aliases=("sample_weight",),
)
HOST_TIMEOUT = Hyperparameter(
    "host_timeout",
    "integer",
    900,
    "Seconds that the hosts of a job wait for each other at its beginning.",
    1,
    86_400,
)
HEADER = Hyperparameter(
    "header",
    "choice",
    "auto",
    "Whether CSV files begin with column names.",
    choices=("auto", "true", "false"),
)
