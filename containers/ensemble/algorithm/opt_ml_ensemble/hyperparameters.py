"""Every hyperparameter in one table: it drives parsing, the error texts and the README.

Names without a dot apply to the job or to every model that has the notion; a name with a model's
prefix (`catboost.depth`) applies to that model only and wins over the shared one it follows. The
names are those of XGBoost and of the published SageMaker sample where these have one.
"""

from __future__ import annotations

from opt_ml.training.hyperparameters import Hyperparameter, Kind
from opt_ml.training.table_hyperparameters import HEADER, HOST_TIMEOUT, LABEL, WEIGHT_COLUMN

OBJECTIVES = {
    "auto": None,
    "regression": "regression",
    "reg:squarederror": "regression",
    "reg:linear": "regression",
    "binary": "binary",
    "binary:logistic": "binary",
    "multiclass": "multiclass",
    "multi:softmax": "multiclass",
    "multi:softprob": "multiclass",
}
MODELS = ("catboost", "xgboost", "extra_trees", "random_forest", "hist_gradient_boosting", "linear")
# Chosen on diabetes, breast cancer, iris and wine: about the scores of all six, with less to serve.
DEFAULT_MODELS = ("catboost", "xgboost", "extra_trees", "linear")
BLENDS = ("weighted", "mean", "vote", "stacking")
EVAL_METRICS = ("auto", "rmse", "mae", "r2", "auc", "logloss", "accuracy", "f1", "mlogloss")


def _shared(
    name: str,
    kind: Kind,
    meaning: str,
    low: float,
    high: float | None = None,
    *,
    above: bool = False,
    aliases: tuple[str, ...] = (),
) -> Hyperparameter:
    return Hyperparameter(name, kind, None, meaning, low, high, above, aliases=aliases)


_JOB = (
    Hyperparameter(
        "objective", "choice", "auto", "The task, or found from the label.", choices=tuple(OBJECTIVES)
    ),
    LABEL,
    WEIGHT_COLUMN,
    HEADER,
    Hyperparameter(
        "num_class", "integer", None, "For jobs written for XGBoost: checked against the label.", 0
    ),
    Hyperparameter("models", "list", DEFAULT_MODELS, "The models to train and blend.", choices=MODELS),
    Hyperparameter("blend", "choice", "weighted", "How the models' predictions become one.", choices=BLENDS),
    Hyperparameter(
        "k_fold",
        "integer",
        5,
        "Folds of the cross-validation; 0 turns it off.",
        0,
        50,
        aliases=("num_fold", "nfold"),
    ),
    Hyperparameter(
        "validation_fraction",
        "number",
        None,
        "Share of the train rows to hold out where there is no "
        "validation channel. Default: 0.2 with k_fold 0, otherwise 0.",
        0,
        0.9,
    ),
    Hyperparameter(
        "early_stopping_rounds",
        "integer",
        50,
        "Boosting ends after so many rounds without a gain; 0 turns it off.",
        0,
    ),
    Hyperparameter(
        "eval_metric",
        "choice",
        "auto",
        "The metric that ranks the models: rmse, auc or accuracy by default.",
        choices=EVAL_METRICS,
    ),
    Hyperparameter(
        "seed", "integer", 0, "Seed of folds, splits and models.", 0, 2**31 - 1, aliases=("random_state",)
    ),
    Hyperparameter("nthread", "integer", None, "Threads for training. Default: every usable CPU.", 1),
    Hyperparameter(
        "exact",
        "choice",
        "false",
        "Leave out the compiled copy, which answers faster and equal within a tolerance.",
        choices=("false", "true"),
    ),
    HOST_TIMEOUT,
    Hyperparameter(
        "checkpoint_seconds",
        "integer",
        60,
        "Seconds between two checkpoints of a model that boosts, in a job with a checkpoint directory.",
        1,
        86_400,
    ),
)

_SHARED = (
    _shared("num_round", "integer", "Boosting rounds, at most.", 1, 100_000, aliases=("num_boost_round",)),
    _shared("eta", "number", "Learning rate of boosting.", 0, 1, above=True, aliases=("learning_rate",)),
    _shared("max_depth", "integer", "Depth of a tree, at most.", 1, 64),
    _shared("min_child_weight", "number", "Smallest weight of a leaf (XGBoost).", 0),
    _shared("subsample", "number", "Share of the rows that each boosted tree sees.", 0, 1, above=True),
    _shared("colsample_bytree", "number", "Share of the columns of a tree or split.", 0, 1, above=True),
    _shared("gamma", "number", "Smallest gain of a split (XGBoost).", 0, aliases=("min_split_loss",)),
    _shared("alpha", "number", "L1 penalty on leaf weights (XGBoost).", 0, aliases=("reg_alpha",)),
    _shared("lambda", "number", "L2 penalty on leaf weights.", 0, aliases=("reg_lambda",)),
)

_CATBOOST = (
    Hyperparameter(
        "catboost.iterations", "integer", 1000, "Trees, at most.", 1, 100_000, follows="num_round"
    ),
    Hyperparameter("catboost.learning_rate", "number", 0.05, "", 0, 1, True, follows="eta"),
    Hyperparameter("catboost.depth", "integer", 5, "", 1, 16, follows="max_depth"),
    Hyperparameter("catboost.l2_leaf_reg", "number", 3.0, "", 0, follows="lambda"),
    Hyperparameter("catboost.random_strength", "number", 1.0, "Noise on the score of a split.", 0),
    Hyperparameter("catboost.subsample", "number", 0.8, "", 0, 1, True, follows="subsample"),
    Hyperparameter(
        "catboost.rsm",
        "number",
        0.8,
        "Share of the columns at each split.",
        0,
        1,
        True,
        follows="colsample_bytree",
    ),
    Hyperparameter("catboost.min_data_in_leaf", "integer", 1, "", 1),
    Hyperparameter("catboost.border_count", "integer", 254, "Bins of a numeric column.", 1, 65535),
    Hyperparameter(
        "catboost.one_hot_max_size",
        "integer",
        2,
        "Text columns with at most so many values are one-hot encoded.",
        2,
        255,
    ),
)

_XGBOOST = (
    Hyperparameter("xgboost.num_round", "integer", 1000, "Trees, at most.", 1, 100_000, follows="num_round"),
    Hyperparameter("xgboost.eta", "number", 0.05, "", 0, 1, True, follows="eta"),
    Hyperparameter("xgboost.max_depth", "integer", 4, "", 1, 64, follows="max_depth"),
    Hyperparameter("xgboost.min_child_weight", "number", 2.0, "", 0, follows="min_child_weight"),
    Hyperparameter("xgboost.subsample", "number", 0.8, "", 0, 1, True, follows="subsample"),
    Hyperparameter("xgboost.colsample_bytree", "number", 0.8, "", 0, 1, True, follows="colsample_bytree"),
    Hyperparameter("xgboost.gamma", "number", 0.0, "", 0, follows="gamma"),
    Hyperparameter("xgboost.alpha", "number", 0.0, "", 0, follows="alpha"),
    Hyperparameter("xgboost.lambda", "number", 1.0, "", 0, follows="lambda"),
    Hyperparameter("xgboost.max_bin", "integer", 256, "Bins of a numeric column.", 2, 65535),
    Hyperparameter(
        "xgboost.scale_pos_weight",
        "number",
        1.0,
        "Weight of the positive class (binary).",
        0,
        None,
        True,
        aliases=("scale_pos_weight",),
    ),
)


def _forest(name: str) -> tuple[Hyperparameter, ...]:
    return (
        Hyperparameter(f"{name}.n_estimators", "integer", 200, "Trees.", 1, 10_000),
        Hyperparameter(f"{name}.max_depth", "integer", None, "Default: no limit.", 1, 64),
        Hyperparameter(
            f"{name}.min_samples_leaf",
            "integer",
            None,
            "Default: 2, or a 10000th of the rows where that is more.",
            1,
        ),
        Hyperparameter(
            f"{name}.max_features", "number", 0.5, "Share of the columns at each split.", 0, 1, True
        ),
    )


_SCIKIT_LEARN = (
    *_forest("extra_trees"),
    *_forest("random_forest"),
    Hyperparameter(
        "hist_gradient_boosting.max_iter", "integer", 1000, "Trees, at most.", 1, 100_000, follows="num_round"
    ),
    Hyperparameter("hist_gradient_boosting.learning_rate", "number", 0.05, "", 0, 1, True, follows="eta"),
    Hyperparameter("hist_gradient_boosting.max_depth", "integer", 6, "", 1, 64, follows="max_depth"),
    Hyperparameter("hist_gradient_boosting.min_samples_leaf", "integer", 10, "", 1),
    Hyperparameter("hist_gradient_boosting.l2_regularization", "number", 1.0, "", 0, follows="lambda"),
    Hyperparameter(
        "hist_gradient_boosting.max_features",
        "number",
        0.8,
        "Share of the columns at each split.",
        0,
        1,
        True,
        follows="colsample_bytree",
    ),
    Hyperparameter(
        "linear.penalty", "number", 1.0, "L2 penalty of the ridge or logistic regression.", 0, None, True
    ),
)

TABLE: tuple[Hyperparameter, ...] = (*_JOB, *_SHARED, *_CATBOOST, *_XGBOOST, *_SCIKIT_LEARN)
