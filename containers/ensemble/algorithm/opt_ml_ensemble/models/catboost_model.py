"""CatBoost, saved as cbm."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from catboost import CatBoost, CatBoostError, FeaturesData, Pool
from numpy.typing import NDArray
from opt_ml.errors import UserError

from opt_ml_ensemble.models.base import Curve, Model, Problem, Progress, shares, two_columns
from opt_ml_ensemble.schema import Data, Matrix

_LOSS = {"regression": "RMSE", "binary": "Logloss", "multiclass": "MultiClass"}
_METRIC = {"regression": "rmse", "binary": "logloss", "multiclass": "mlogloss"}
_MISSING = b""
SNAPSHOT = "snapshot"


class _Rounds:
    """What CatBoost calls after each round: takes its snapshots over as checkpoints, and ends the fit.

    CatBoost writes the snapshots itself, of everything that the next round depends on, losses included.
    """

    def __init__(self, snapshot: Path, progress: Progress, problem: Problem, most: int) -> None:
        self.snapshot = snapshot
        self.cut_short = False
        self._progress = progress
        self._loss = _LOSS[problem.task]
        self._metric = _METRIC[problem.task]
        self._most = most
        self._rounds = 0
        self._taken = 0

    def options(self) -> dict[str, Any]:
        """The training parameters that make it write snapshots."""
        return {
            "allow_writing_files": True,
            "train_dir": str(self.snapshot.parent),
            "save_snapshot": True,
            "snapshot_file": str(self.snapshot),
            "snapshot_interval": int(self._progress.seconds),
        }

    def restore(self, content: bytes) -> None:
        """Let CatBoost find a snapshot; it goes on from it."""
        self.snapshot.write_bytes(content)
        self._taken = self.snapshot.stat().st_mtime_ns

    def after_iteration(self, info: Any) -> bool:
        """False ends the fit; the round is kept."""
        self._rounds = int(info.iteration)
        if self._progress.due:
            self.keep()  # CatBoost's clock and ours differ: a snapshot is only taken once
        watched = info.metrics.get("validation", {}).get(self._loss)
        if watched:
            self._progress.line(self._rounds, self._metric, watched[-1])
        self.cut_short = self._progress.stops and self._rounds < self._most
        return not self.cut_short

    def keep(self) -> None:
        """Take the newest snapshot over, if there is a new one."""
        written = self.snapshot.stat().st_mtime_ns if self.snapshot.exists() else 0
        if written > self._taken:
            self._taken = written
            self._progress.keep({"rounds": self._rounds}, {SNAPSHOT: self.snapshot.read_bytes()})


class CatBoostModel(Model):
    """Gradient boosting on symmetric trees; categories by ordered target statistics.

    Attributes:
        numeric, categorical: positions of the columns, in the order that CatBoost numbers them.
    """

    name = "catboost"
    file = "catboost.cbm"
    continues = True

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.numeric = [i for i in range(problem.n_features) if i not in problem.categorical]
        self.categorical = list(problem.categorical)
        self._model = CatBoost()

    def fit(
        self,
        parameters: Mapping[str, Any],
        train: Data,
        watched: Data | None,
        progress: Progress,
        earlier: Model | None = None,
    ) -> None:
        """Train; see `Model.fit`."""
        problem = self.problem
        options = self._options(parameters, watched)
        before = None if earlier is None else cast(CatBoostModel, earlier)._model
        with tempfile.TemporaryDirectory(prefix="catboost-") as scratch:
            rounds = _Rounds(Path(scratch) / SNAPSHOT, progress, problem, int(options["iterations"]))
            if progress.keeps:
                options |= rounds.options()
            state = progress.so_far()
            if state is not None:
                rounds.restore(state.files[SNAPSHOT])
            self._model = CatBoost(options)
            watch = None if watched is None else self._pool(watched)
            try:
                self._model.fit(self._pool(train), eval_set=watch, callbacks=[rounds], init_model=before)
            except CatBoostError as error:
                # Of rows and parameters that the others can do with: nothing varies within a fold, for one.
                cause = str(error).strip().rpartition("\n")[2].rpartition(": ")[2]
                raise UserError(
                    f"CatBoost refuses {len(train)} of these rows or its parameters: {cause} "
                    "Change them, or leave catboost out of the hyperparameter models."
                ) from None
            self.cut_short = rounds.cut_short
            if self.cut_short:
                rounds.keep()
        self.rounds = int(self._model.tree_count_)
        if watched is not None:
            history = self._model.get_evals_result()
            loss = _LOSS[problem.task]
            self.curve = Curve(_METRIC[problem.task], history["learn"][loss], history["validation"][loss])

    def predict(self, matrix: Matrix, threads: int = 1) -> NDArray[np.float64]:
        """Predict; see `Model.predict`."""
        data = self._features(matrix)
        if self.problem.task == "regression":
            return np.asarray(self._model.predict(data, thread_count=threads), dtype=np.float64)
        kind = "Probability"
        found = np.asarray(
            self._model.predict(data, prediction_type=kind, thread_count=threads), dtype=np.float64
        )
        return found if found.ndim == 2 else two_columns(found)

    def importance(self) -> NDArray[np.float64] | None:
        """CatBoost's PredictionValuesChange."""
        raw = np.zeros(self.problem.n_features)
        # In the order of FeaturesData: the numeric columns first.
        raw[self.numeric + self.categorical] = self._model.get_feature_importance()
        return shares(raw)

    def save(self, directory: Path) -> None:
        """Write catboost.cbm."""
        self._model.save_model(str(directory / self.file), format="cbm")

    def json(self, n_codes: Mapping[int, int]) -> bytes:
        """The model in CatBoost's JSON, with the hash of every category.

        Args:
            n_codes: by position of a column of categories, how many codes it has.
        """
        rows = np.zeros((max(n_codes.values(), default=0) + 1, self.problem.n_features), dtype=np.float32)
        for position in self.categorical:
            codes = np.arange(len(rows), dtype=np.float32)
            rows[:, position] = np.where(codes < n_codes[position], codes, np.nan)
        with tempfile.TemporaryDirectory(prefix="catboost-") as scratch:
            path = Path(scratch) / "model.json"
            self._model.save_model(str(path), format="json", pool=Pool(self._features(rows)))
            return path.read_bytes()

    @classmethod
    def load(cls, directory: Path, problem: Problem) -> CatBoostModel:
        """Read catboost.cbm."""
        model = cls(problem)
        model._model.load_model(str(directory / cls.file), format="cbm")
        model.rounds = int(model._model.tree_count_)
        return model

    def _options(self, parameters: Mapping[str, Any], watched: Data | None) -> dict[str, Any]:
        problem = self.problem
        options: dict[str, Any] = {
            **parameters,
            "loss_function": _LOSS[problem.task],
            "bootstrap_type": "Bernoulli",
            "random_seed": problem.seed,
            "thread_count": problem.threads,
            "allow_writing_files": False,  # it would write catboost_info/ into the working directory
            "logging_level": "Silent",
        }
        if problem.task == "multiclass":
            options["classes_count"] = problem.n_classes  # a fold may lack a class
        if watched is None:
            # CatBoost hands the whole history of losses to a callback, in every round anew.
            options["metric_period"] = max(1, int(parameters["iterations"]))
        elif problem.patience:
            options |= {"od_type": "Iter", "od_wait": problem.patience, "use_best_model": True}
        return options

    def _pool(self, data: Data) -> Pool:
        return Pool(self._features(data.matrix), label=data.label, weight=data.weight)

    def _features(self, matrix: Matrix) -> Matrix | FeaturesData:
        if not self.categorical:
            # CatBoost makes the array that it is given read-only; other models need theirs writable.
            return matrix.view()
        codes = matrix[:, self.categorical]
        known = ~np.isnan(codes)
        texts = np.full(codes.shape, _MISSING, dtype=object)
        texts[known] = [b"%d" % code for code in codes[known].astype(np.int64)]
        numeric = np.ascontiguousarray(matrix[:, self.numeric]) if self.numeric else None
        return FeaturesData(num_feature_data=numeric, cat_feature_data=texts)
