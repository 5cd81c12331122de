"""Which values a tuning job tries next: Optuna behind the strategies that SageMaker names.

Bayesian is Optuna's tree-structured Parzen estimator, a Bayesian search as SageMaker's Gaussian process is,
without needing PyTorch or SciPy. The only module that imports optuna; it is installed at first use.
"""

from __future__ import annotations

import itertools
import math
import random
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial, TrialState, create_trial

from toolkit.tuning_jobs.tuning_job import TuningJob
from toolkit.tuning_jobs.tuning_ranges import Range

Values = Mapping[str, str]

_TRIES = 50  # to find values that no job had yet
_FEW = 10_000  # combinations that are simply listed


@dataclass(frozen=True)
class Known:
    """The result of an earlier tuning job's training job, to start from."""

    values: Values
    objective: float


class Search:
    """Proposes values, and learns what they were worth; may be called from several threads.

    Args:
        job: ranges, strategy, direction and seed.
        known: results of earlier tuning jobs; those outside of the ranges are left out.
    """

    def __init__(self, job: TuningJob, known: Iterable[Known] = ()) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._ranges = job.ranges
        self._space = {one.name: _distribution(one) for one in job.ranges}
        self._study = optuna.create_study(
            direction="minimize" if job.objective.minimize else "maximize",
            sampler=_sampler(job),
            pruner=_pruner(job),
        )
        self._grid = _grid(job.ranges) if job.strategy == "Grid" else None
        self._trials: dict[int, Trial] = {}
        self._seen: set[tuple[str, ...]] = set()
        self._most = math.prod(one.size for one in job.ranges)
        self._lock = threading.Lock()
        self._dice = random.Random(job.seed)  # noqa: S311 - no secret
        self._drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=job.seed))
        self.known = sum(self._learn(result) for result in known)

    def ask(self, number: int) -> Values | None:
        """Values for job `number` that no job had before; None when there are no more."""
        with self._lock:
            if self._grid is not None:
                return next(self._grid, None)
            if len(self._seen) >= self._most:
                return None
            for _ in range(_TRIES):
                trial = self._study.ask(self._space)
                values = self._texts(trial.params)
                if tuple(values.values()) not in self._seen:
                    return self._take(number, trial, values)
                self._study.tell(trial, state=TrialState.FAIL)
            # A sampler that is sure of itself comes back to the best again and again: the rest by lot.
            for params in self._by_lot():
                values = self._texts(params)
                if tuple(values.values()) not in self._seen:
                    self._study.enqueue_trial(params)
                    return self._take(number, self._study.ask(self._space), values)
            return None

    def _texts(self, params: Mapping[str, Any]) -> dict[str, str]:
        return {one.name: _text(one, params[one.name]) for one in self._ranges}

    def _take(self, number: int, trial: Trial, values: Values) -> Values:
        self._seen.add(tuple(values.values()))
        self._trials[number] = trial
        return values

    def _by_lot(self) -> Iterator[dict[str, Any]]:
        """All combinations, shuffled; of more than a job could ever try, some."""
        if self._most <= _FEW:
            every = [[(one.name, value) for value in _all_values(one)] for one in self._ranges]
            found = [dict(pairs) for pairs in itertools.product(*every)]
            yield from self._dice.sample(found, len(found))
        else:
            yield from (self._drawn.ask(self._space).params for _ in range(_TRIES))

    def report(self, number: int, step: int, value: float) -> bool:
        """Hyperband alone: the objective after its `step`-th time; True when the job should be stopped."""
        with self._lock:
            trial = self._trials.get(number)
            if trial is None:
                return False
            trial.report(value, step)
            return trial.should_prune()

    def tell(self, number: int, objective: float | None) -> None:
        """What the job was worth; None for one without a value."""
        with self._lock:
            trial = self._trials.pop(number, None)
            if trial is None:
                return  # a grid does not learn
            if objective is None:
                self._study.tell(trial, state=TrialState.FAIL)
            else:
                self._study.tell(trial, objective)

    def _learn(self, result: Known) -> bool:
        try:
            values = {one.name: _value(one, result.values[one.name]) for one in self._ranges}
            trial = create_trial(params=values, distributions=self._space, value=result.objective)
        except (KeyError, ValueError):
            return False  # another range, or a hyperparameter that was not searched then
        self._study.add_trial(trial)
        return True


def _sampler(job: TuningJob) -> optuna.samplers.BaseSampler:
    if job.strategy == "Random":
        return optuna.samplers.RandomSampler(seed=job.seed)
    return optuna.samplers.TPESampler(
        seed=job.seed,
        n_startup_trials=max(3, min(10, job.max_jobs // 3)),  # of random values, before it can learn
        multivariate=True,
        constant_liar=job.parallel_jobs > 1,  # keeps jobs that run at one time apart
    )


def _pruner(job: TuningJob) -> optuna.pruners.BasePruner:
    if not job.resources:
        return optuna.pruners.NopPruner()
    low, high = job.resources
    return optuna.pruners.HyperbandPruner(min_resource=low, max_resource=high)


def _grid(ranges: Iterable[Range]) -> Iterator[Values]:
    named = [[(one.name, value) for value in one.values] for one in ranges]
    return (dict(pairs) for pairs in itertools.product(*named))


def _all_values(one: Range) -> Sequence[Any]:
    """Of a range with few values."""
    if one.kind == "Categorical":
        return one.values
    if one.kind == "Integer":
        return range(int(one.low), int(one.high) + 1)
    return [_value(one, f"{one.low:.12g}")]


def _distribution(one: Range) -> BaseDistribution:
    if one.kind == "Categorical":
        return CategoricalDistribution(one.values)
    logarithmic = one.spread == "Logarithmic"
    if one.kind == "Integer":
        return IntDistribution(int(one.low), int(one.high), log=logarithmic)
    if one.spread == "ReverseLogarithmic":
        # Close together near 1: the distance to 1 is what is logarithmic.
        return FloatDistribution(1 - one.high, 1 - one.low, log=True)
    return FloatDistribution(one.low, one.high, log=logarithmic)


def _text(one: Range, value: float | str) -> str:
    if one.kind == "Continuous" and one.spread == "ReverseLogarithmic":
        value = 1 - float(value)
    # Twelve digits: enough for any hyperparameter, and a table stays readable.
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _value(one: Range, text: str) -> float | int | str:
    if one.kind == "Categorical":
        return text
    if one.kind == "Integer":
        return int(text)
    return 1 - float(text) if one.spread == "ReverseLogarithmic" else float(text)
