"""The handler of task=timeseries: history in, forecasts out.

A request brings the history of one or several series, with the columns of the training files: a row for each
step. Forecasts begin after the last row of a series that has a target; rows below it, whose target is empty,
bring the known covariates of the steps to forecast.

What an answer holds, by the Accept parameter `output` or the environment variable AUTOGLUON_OUTPUT:

| output | columns |
|---|---|
| `forecasts` (the default) | item_id, timestamp, mean, and one for each quantile |
| `mean` | mean |

There is a row for each step, series after series in the order of the request.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import joblib
import numpy as np
import pandas as pd
from autogluon.timeseries import TimeSeriesPredictor
from numpy.typing import NDArray
from opt_ml.errors import RequestError, UserError
from opt_ml.resources import threads_of_worker
from opt_ml.serving.codecs import decode_table, encode_columns
from opt_ml.serving.outputs import choose_output, default_output
from opt_ml.serving.table import Table

from opt_ml_autogluon.model_json import read_model_json
from opt_ml_autogluon.pretrained import BAKED, IN_MODEL, find_weights, offer
from opt_ml_autogluon.timeseries.columns import ITEM, TIME, Columns, SeriesError
from opt_ml_autogluon.timeseries.steps import to_series
from opt_ml_autogluon.vision import make_importable

OUTPUTS = ("forecasts", "mean")


@dataclass(frozen=True)
class Served:
    """A loaded model.

    Attributes:
        freq: the step of the series.
        fill: what becomes of gaps in a request, as in training.
        output: what an answer holds that nobody asked for otherwise.
    """

    predictor: TimeSeriesPredictor
    columns: Columns
    freq: str
    fill: str
    output: str

    def forecast(self, history: pd.DataFrame) -> pd.DataFrame:
        """Forecasts of one request: item_id, timestamp, mean and quantiles.

        Raises:
            RequestError: 400 for rows that do not fit, with their number.
        """
        columns = self.columns
        try:
            frame = columns.frame(history)
            known = frame[columns.target].notna()
            # Below the last target of its series.
            is_future = ~known[::-1].groupby(frame[ITEM][::-1].to_numpy()).cummax()[::-1].to_numpy()
            past, future = frame[~is_future], frame[is_future]
            absent = set(frame[ITEM]) - set(past[ITEM])
            if absent:
                item = next(item for item in frame[ITEM] if item in absent)
                raise SeriesError(
                    f"series {item!r} has no row with a {columns.target!r}, so there is no history."
                )
            series = to_series(past.reset_index(drop=True), columns, self.freq, self.fill)
        except SeriesError as error:
            where = "The request" if error.row is None else f"Row {error.row + 1}"
            raise RequestError(400, f"{where}: {error}") from None
        covariates = self._covariates(series, future) if columns.known else None
        with _in_share():
            found = self.predictor.predict(series, known_covariates=covariates)
        return pd.DataFrame(found).reset_index()

    def _covariates(self, series: Any, future: pd.DataFrame) -> pd.DataFrame:
        """The known covariates of the steps to forecast; the 400 names the first step without them."""
        needed = self.predictor.make_future_data_frame(series)
        known = list(self.columns.known)
        found = needed.merge(future[[ITEM, TIME, *known]], on=[ITEM, TIME], how="left", indicator=True)
        lacking = (found["_merge"] == "left_only").to_numpy()
        if lacking.any():
            first = found.iloc[int(np.argmax(lacking))]
            raise RequestError(
                400,
                f"The request has no row of series {first[ITEM]!r} at {first[TIME]}. Send one for each of "
                f"the {self.predictor.prediction_length} steps to forecast, with {', '.join(known)} and an "
                f"empty {self.columns.target!r}.",
            )
        return found.drop(columns="_merge")


@dataclass(frozen=True)
class Prediction:
    """The forecasts of a request; see `Served.forecast`."""

    served: Served
    found: pd.DataFrame


def model_fn(model_dir: str) -> Served:
    """Load the predictor, with its models in memory.

    Raises:
        UserError: no predictor there, one of another version of AutoGluon, or an unknown AUTOGLUON_OUTPUT.
    """
    directory = Path(model_dir)
    output = default_output("AUTOGLUON_OUTPUT", OUTPUTS, "forecasts")
    weights = find_weights(directory / IN_MODEL, BAKED)
    offer(weights, Path(mkdtemp(prefix="weights-")))  # the folder goes with the container
    make_importable()  # torchvision, which networks and pretrained models come upon
    with read_model_json(directory) as content:
        columns = Columns.from_json(content["columns"])
        freq, fill = str(content["freq"]), str(content["fill_gaps"])
    try:
        predictor = TimeSeriesPredictor.load(model_dir)
    except AssertionError as error:  # of another version of AutoGluon
        raise UserError(f"{model_dir} cannot be loaded: {error}") from None
    predictor.persist()
    logging.getLogger("autogluon").setLevel(logging.ERROR)
    served = Served(predictor, columns, freq, fill, output)
    _warm_up(served)
    return served


def input_fn(body: bytes, content_type: str) -> Table:
    """The records of a request; see `opt_ml.serving.codecs` for the types."""
    return decode_table(body, content_type)


def predict_fn(data: Table, model: Served) -> Prediction:
    """The forecasts for one request.

    Raises:
        RequestError: 400 for columns or rows that do not fit the model.
    """
    return Prediction(model, model.forecast(model.columns.request(data)))


def output_fn(prediction: Prediction, accept: str) -> tuple[bytes, str]:
    """The answer's body and Content-Type.

    Raises:
        RequestError: 406 for an unknown type, 400 for an unknown output.
    """
    media_type, output = choose_output(accept, OUTPUTS, prediction.served.output)
    return encode_columns(_columns(prediction.found, output), media_type)


def _columns(found: pd.DataFrame, output: str) -> Mapping[str, NDArray[Any]]:
    if output == "mean":
        return {"mean": found["mean"].to_numpy()}
    names: Sequence[str] = [name for name in found.columns if name not in (ITEM, TIME)]
    times = np.array([time.isoformat() for time in found[TIME]], dtype=object)
    return {
        ITEM: found[ITEM].to_numpy(dtype=object),
        TIME: times,
        **{str(name): np.ascontiguousarray(found[name].to_numpy()) for name in names},
    }


def _in_share() -> AbstractContextManager[Any]:
    """Statistical models forecast in this process where a worker has one CPU.

    AutoGluon would start a process for each CPU, of 300 MB, in every worker; a request of a few series takes
    twice as long with them.
    """
    return nullcontext() if threads_of_worker() > 1 else joblib.parallel_config(backend="sequential")


def _warm_up(served: Served) -> None:
    """The first forecast compiles and loads for seconds: let it be that of a made-up series."""
    steps = pd.date_range("2024-01-01", periods=3 * served.predictor.prediction_length + 10, freq=served.freq)
    columns = served.columns
    frame = pd.DataFrame(
        {columns.time: steps.astype(str), columns.target: np.arange(len(steps), dtype=float)}
    )
    for name in (*columns.known, *columns.past, *columns.static):
        frame[name] = "a" if name in columns.texts else 0.0
    if columns.item:
        frame[columns.item] = "warm-up"
    if columns.known:
        frame.loc[frame.index[-served.predictor.prediction_length :], columns.target] = np.nan
    try:
        served.forecast(frame)
    except Exception as error:  # requests will bring better series
        print(f"Not warmed up: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
