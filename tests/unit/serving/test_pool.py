"""The pause before a worker is started again."""

from __future__ import annotations

import pytest
from opt_ml.serving.workers.processes import pause_after


@pytest.mark.parametrize(("failures", "pause"), [(1, 0.1), (3, 0.4), (10, 10.0), (1025, 10.0), (10**6, 10.0)])
def test_the_pause_grows_with_the_failures_to_ten_seconds_and_stays_there(failures, pause):
    assert pause_after(failures) == pause
