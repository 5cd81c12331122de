"""AutoGluon's scores as the metrics that people know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from autogluon.core.metrics import METRICS


def as_known(scores: Mapping[str, Any], problem_type: str) -> dict[str, float]:
    """AutoGluon's scores, of which more is always better, with the sign that the metric has elsewhere."""
    found = {}
    for name, score in scores.items():
        scorer = METRICS[problem_type].get(name)
        value = float(scorer.convert_score_to_original(score) if scorer else score)
        if np.isfinite(value):
            found[name] = value
    return found
