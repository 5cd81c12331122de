"""Regular steps: which frequency a set of series has, where one has a gap, and how gaps are filled."""

from __future__ import annotations

import numpy as np
import pandas as pd
from autogluon.timeseries import TimeSeriesDataFrame

from opt_ml_autogluon.timeseries.columns import ITEM, ROW, TIME, Columns, SeriesError
from opt_ml_autogluon.timeseries.hyperparameters import FILLS

MOST_SERIES = 200  # that the frequency is found from
RUN = 8  # steps in a row that tell a frequency


def find_frequency(frame: pd.DataFrame) -> str:
    """The step that most of the series have, also where single rows are missing.

    Args:
        frame: as `Columns.frame` returns it.

    Raises:
        SeriesError: no series has a regular step.
    """
    found: dict[str, int] = {}
    for _, times in list(frame.groupby(ITEM, sort=False)[TIME])[:MOST_SERIES]:
        freq = _frequency(pd.DatetimeIndex(times))
        if freq:
            found[freq] = found.get(freq, 0) + 1
    if not found:
        raise SeriesError(
            "the timestamps have no regular step. Name it by the hyperparameter freq, such as D, h or MS, "
            "and set fill_gaps to say what becomes of steps without a row."
        )
    return max(found, key=lambda freq: found[freq])


def _frequency(times: pd.DatetimeIndex) -> str | None:
    """Pandas needs three rows, and no gap between them."""
    if len(times) < 3:
        return None
    whole = pd.infer_freq(times)
    if whole or len(times) < RUN:
        return str(whole) if whole else None
    starts = range(0, len(times) - RUN + 1, max(1, RUN // 2))
    return next((freq for start in starts if (freq := pd.infer_freq(times[start : start + RUN]))), None)


def standard(freq: str) -> str:
    """A frequency as pandas writes it today: `min` for `T`.

    Raises:
        SeriesError: pandas does not know it.
    """
    try:
        return str(pd.tseries.frequencies.to_offset(freq).freqstr)
    except ValueError:
        raise SeriesError(f"freq {freq!r} is no frequency. Write it as D, h, 15min, W-SUN or MS.") from None


def to_series(frame: pd.DataFrame, columns: Columns, freq: str, fill: str) -> TimeSeriesDataFrame:
    """The rows as AutoGluon takes them, one for each step.

    Args:
        frame: as `Columns.frame` returns it.
        columns: of the training.
        freq: as `standard` returns it.
        fill: a choice of the hyperparameter fill_gaps.

    Raises:
        SeriesError: a gap (with the row after it) or a missing target, where these are not to be filled; a
            static feature that changes.
    """
    static = _static(frame, columns)
    if fill == "refuse":
        _check_steps(frame, freq)
        _check_targets(frame, columns.target)
    values = frame.drop(columns=[ROW, *columns.static])
    series = TimeSeriesDataFrame(values, static_features=static)
    if fill == "refuse":
        return series
    series = series.convert_frequency(freq)
    method = FILLS[fill]
    return series if method is None else series.fill_missing_values(method, value=0.0)


def _check_steps(frame: pd.DataFrame, freq: str) -> None:
    """Every series has a row for each step, from its first row to its last."""
    offset = pd.tseries.frequencies.to_offset(freq)
    times, items = frame[TIME].to_numpy(), frame[ITEM].to_numpy()
    same = items[1:] == items[:-1]
    if isinstance(offset, pd.offsets.Tick):
        expected = times[:-1] + np.timedelta64(offset.nanos, "ns")
    else:
        expected = (pd.DatetimeIndex(times[:-1]) + offset).to_numpy()
        on_step = np.array([offset.is_on_offset(pd.Timestamp(time)) for time in times])
        if not on_step.all():
            row = int(np.argmin(on_step))
            raise SeriesError(
                f"{pd.Timestamp(times[row])} of series {items[row]!r} is no step of the frequency {freq}. "
                "Set freq to the step of the series, or fill_gaps.",
                int(frame[ROW].iloc[row]),
            )
    wrong = same & (expected != times[1:])
    if wrong.any():
        row = int(np.argmax(wrong))
        before, after = pd.Timestamp(times[row]), pd.Timestamp(times[row + 1])
        raise SeriesError(
            f"series {items[row]!r} has a gap: after {before} comes {after}, but the frequency is {freq}. "
            f"Add the rows between, or set fill_gaps to one of: {', '.join(FILLS)}.",
            int(frame[ROW].iloc[row + 1]),
        )


def _check_targets(frame: pd.DataFrame, target: str) -> None:
    """Every row has a target."""
    absent = frame[target].isna().to_numpy()
    if absent.any():
        row = int(np.argmax(absent))
        raise SeriesError(
            f"series {frame[ITEM].iloc[row]!r} has no {target!r} at {pd.Timestamp(frame[TIME].iloc[row])}. "
            f"Add it, or set fill_gaps to one of: {', '.join(FILLS)}.",
            int(frame[ROW].iloc[row]),
        )


def _static(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame | None:
    """One row for each series."""
    if not columns.static:
        return None
    groups = frame.groupby(ITEM, sort=False)
    for name in columns.static:
        changing = groups[name].nunique() > 1
        if changing.any():
            item = changing.index[int(np.argmax(changing.to_numpy()))]
            raise SeriesError(
                f"static_features names {name!r}, but it changes within series {item!r}. Name it in "
                "known_covariates, or take it out."
            )
    return groups[list(columns.static)].first()
