"""The scikit-learn models, saved by skops: no pickle, and only types that are listed here are loaded."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray
from opt_ml.training import stopping
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from opt_ml_ensemble.models.base import Curve, Model, Problem, Progress, every_class, shares
from opt_ml_ensemble.schema import Data, Matrix

# What skops does not trust by itself: data structures of the trees, and the one function that
# HistGradientBoosting keeps (a check of its input; skops trusts a partial only with its function).
TRUSTED = (
    "functools.partial",
    "numpy.dtype",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
)
FEWEST_LEAF_ROWS = 2
MOST_LEAVES = 10_000
HISTOGRAM_CATEGORIES = 255  # the most that HistGradientBoosting takes


def load_trusted(path: Path) -> Any:
    """A scikit-learn object from a skops file.

    Raises:
        ValueError: the file holds a type that is not on the list above; it was not written by this trainer.
    """
    foreign = set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED)
    if foreign:
        raise ValueError(f"{path.name} holds types that are not trusted: {', '.join(sorted(foreign))}.")
    return skops.io.load(path, trusted=list(TRUSTED))


class ScikitLearnModel(Model):
    """What the scikit-learn models share: one estimator, one file.

    Attributes:
        estimator: scikit-learn's own; None before `fit`.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.estimator: Any = None

    def predict(self, matrix: Matrix, threads: int = 1) -> NDArray[np.float64]:
        """Predict; see `Model.predict`."""
        if self.problem.task == "regression":
            return np.asarray(self.estimator.predict(matrix), dtype=np.float64)
        return self._every_class(np.asarray(self.estimator.predict_proba(matrix), dtype=np.float64))

    def importance(self) -> NDArray[np.float64] | None:
        """None: the estimator measures none."""
        return None

    def save(self, directory: Path) -> None:
        """Write `<name>.skops`."""
        skops.io.dump(self.estimator, directory / self.file, compression=zipfile.ZIP_DEFLATED)

    @classmethod
    def load(cls, directory: Path, problem: Problem) -> ScikitLearnModel:
        """Read `<name>.skops`."""
        model = cls(problem)
        model._use(load_trusted(directory / cls.file))
        return model

    def _use(self, estimator: Any) -> None:
        self.estimator = estimator

    def _every_class(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        return every_class(found, self.estimator.classes_, self.problem.n_classes)


class Forest(ScikitLearnModel):
    """Averaged trees. Category codes are ordered by frequency, missing values go their own way in a split."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._trees: list[Any] = []

    def fit(
        self,
        parameters: Mapping[str, Any],
        train: Data,
        watched: Data | None,
        progress: Progress,
        earlier: Model | None = None,
    ) -> None:
        """Train anew; see `Model.fit`."""
        regression = self.problem.task == "regression"
        kinds = {
            "extra_trees": (ExtraTreesClassifier, ExtraTreesRegressor),
            "random_forest": (RandomForestClassifier, RandomForestRegressor),
        }
        options = dict(parameters)
        if options["min_samples_leaf"] is None:
            # Leaves of 2 rows in 100,000 make a model of 130 MB. On 30,000 rows, leaves of 20 in place of 2
            # made it a seventh of the size for 0.01 of AUC.
            options["min_samples_leaf"] = max(FEWEST_LEAF_ROWS, len(train) // MOST_LEAVES)
        estimator = kinds[self.name][regression](
            **options, random_state=self.problem.seed, n_jobs=self.problem.threads
        )
        with stopping.interruptible():
            estimator.fit(train.matrix, train.label, sample_weight=train.weight)
        estimator.n_jobs = None  # a serving worker has its own idea of threads
        self._use(estimator)

    def predict(self, matrix: Matrix, threads: int = 1) -> NDArray[np.float64]:
        """Predict; see `Model.predict`.

        Asks the trees one by one: the estimator's own predict spends 20 ms on thread pools and checks
        for a single row, a hundred times the work of its trees.
        """
        total = self._trees[0].predict(matrix)
        for tree in self._trees[1:]:
            total += tree.predict(matrix)
        total /= len(self._trees)
        if self.problem.task == "regression":
            return np.asarray(total.reshape(len(matrix)), dtype=np.float64)
        return self._every_class(total.reshape(len(matrix), -1))

    def importance(self) -> NDArray[np.float64] | None:
        """Mean decrease of impurity."""
        return shares(self.estimator.feature_importances_)

    def _use(self, estimator: Any) -> None:
        super()._use(estimator)
        self._trees = [member.tree_ for member in estimator.estimators_]


class ExtraTrees(Forest):
    """Trees with random thresholds."""

    name = "extra_trees"
    file = "extra_trees.skops"


class RandomForest(Forest):
    """Trees on bootstrap samples."""

    name = "random_forest"
    file = "random_forest.skops"


class HistGradientBoosting(ScikitLearnModel):
    """scikit-learn's own histogram boosting; categories natively, the rarest beyond 255 as one."""

    name = "hist_gradient_boosting"
    file = "hist_gradient_boosting.skops"

    def fit(
        self,
        parameters: Mapping[str, Any],
        train: Data,
        watched: Data | None,
        progress: Progress,
        earlier: Model | None = None,
    ) -> None:
        """Train anew; see `Model.fit`."""
        problem = self.problem
        regression = problem.task == "regression"
        stops = watched is not None and problem.patience > 0
        kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        estimator = kind(
            **parameters,
            categorical_features=list(problem.categorical) or None,
            random_state=problem.seed,
            early_stopping=stops,
            n_iter_no_change=max(problem.patience, 1),
            scoring="loss",
        )
        watch: dict[str, Any] = {}
        if watched is not None and not regression:
            # It refuses to watch rows of a class that this fold cannot learn.
            watched = watched.take(np.flatnonzero(np.isin(watched.label, train.label)))
        if stops and watched is not None:
            watch = {"X_val": self._clipped(watched.matrix), "y_val": watched.label}
            watch |= {} if watched.weight is None else {"sample_weight_val": watched.weight}
        with stopping.interruptible():
            estimator.fit(self._clipped(train.matrix), train.label, sample_weight=train.weight, **watch)
        self._use(estimator)
        self.rounds = int(estimator.n_iter_)
        if stops:
            losses = {"regression": "squared error / 2", "binary": "logloss", "multiclass": "mlogloss"}
            train_loss, watched_loss = (
                [float(-score) for score in scores]
                for scores in (estimator.train_score_, estimator.validation_score_)
            )
            self.curve = Curve(losses[problem.task], train_loss, watched_loss)
            # It keeps the rounds after the best one; the refit uses the best.
            self.rounds = max(1, int(np.argmin(watched_loss)))

    def predict(self, matrix: Matrix, threads: int = 1) -> NDArray[np.float64]:
        """Predict; see `Model.predict`."""
        return super().predict(self._clipped(matrix), threads)

    def _clipped(self, matrix: Matrix) -> Matrix:
        if not self.problem.categorical:
            return matrix
        clipped = matrix.copy()
        columns = list(self.problem.categorical)
        clipped[:, columns] = np.minimum(clipped[:, columns], HISTOGRAM_CATEGORIES - 1)
        return clipped


class Linear(ScikitLearnModel):
    """Ridge or logistic regression on scaled numbers and one-hot categories."""

    name = "linear"
    file = "linear.skops"

    def fit(
        self,
        parameters: Mapping[str, Any],
        train: Data,
        watched: Data | None,
        progress: Progress,
        earlier: Model | None = None,
    ) -> None:
        """Train anew; see `Model.fit`."""
        penalty = parameters["penalty"]
        if self.problem.task == "regression":
            final: Any = Ridge(alpha=penalty)
        else:
            final = LogisticRegression(C=1.0 / penalty, max_iter=1000)
        estimator = Pipeline([("columns", self._columns()), ("model", final)])
        with warnings.catch_warnings(), stopping.interruptible():
            # Its last steps do not matter for a blend, and the user can do nothing about them.
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(train.matrix.astype(np.float64), train.label, model__sample_weight=train.weight)
        self._use(estimator)

    def predict(self, matrix: Matrix, threads: int = 1) -> NDArray[np.float64]:
        """Predict; see `Model.predict`."""
        return super().predict(matrix.astype(np.float64), threads)

    def importance(self) -> NDArray[np.float64] | None:
        """Size of the coefficients, those of a category's values added up."""
        size = np.abs(np.atleast_2d(self.estimator["model"].coef_)).sum(axis=0)
        columns = self.estimator["columns"]
        raw = np.zeros(self.problem.n_features)
        numeric = self._numeric()
        raw[numeric] = size[: len(numeric)]
        if self.problem.categorical:
            start = len(numeric)
            encoder = columns.named_transformers_["category"]
            for position, width in zip(self.problem.categorical, encoder._n_features_outs, strict=True):
                raw[position] = size[start : start + width].sum()
                start += width
        return shares(raw)

    def _numeric(self) -> list[int]:
        return [i for i in range(self.problem.n_features) if i not in self.problem.categorical]

    def _columns(self) -> ColumnTransformer:
        # keep_empty_features: a fold may hold no value of a sparse column.
        numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
        texts = OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=100, min_frequency=2, sparse_output=False
        )
        chosen = [("number", numbers, self._numeric()), ("category", texts, list(self.problem.categorical))]
        return ColumnTransformer([step for step in chosen if step[2]])
