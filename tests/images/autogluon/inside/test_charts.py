"""Charts of the report, for data that stretch them."""

from __future__ import annotations

import numpy as np
from opt_ml.report import charts


def test_a_roc_of_more_classes_than_colours_is_drawn():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 100)
    svg = charts.roc([f"class {code}" for code in range(10)], np.arange(100) % 10, probabilities)
    assert svg.count("class ") >= 5
