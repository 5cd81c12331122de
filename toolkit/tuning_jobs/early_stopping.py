"""The rule by which a tuning job stops a training job that does not promise anything; pure.

Source: SageMaker Developer Guide, "Stop Training Jobs Early": after each epoch, the running average of the
objective up to that epoch is computed for all previous jobs; a job whose value is worse than the median of
these is stopped. How many previous jobs it takes is not documented; here it is `FEWEST`. A first value is
not judged: a job that prints only one does so at its end, and would lose its model for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

FEWEST = 3


def is_worse_than_median(
    values: Sequence[float], previous: Sequence[Sequence[float]], minimize: bool
) -> bool:
    """True when the job should be stopped.

    Args:
        values: of the running job's objective, one for each epoch so far.
        previous: the same of every job that has ended, however it ended.
        minimize: smaller is better.
    """
    epoch = len(values)
    if epoch < 2:
        return False
    averages = [fmean(earlier[:epoch]) for earlier in previous if len(earlier) >= epoch]
    if len(averages) < FEWEST:
        return False
    middle = median(averages)
    return values[-1] > middle if minimize else values[-1] < middle
