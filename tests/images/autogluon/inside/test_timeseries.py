"""task=timeseries: jobs, requests, what is refused, stopping and going on."""

from __future__ import annotations

import json
import shutil
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from opt_ml.errors import RequestError, UserError
from opt_ml.training import stopping
from opt_ml_autogluon.timeseries import fitting, handler
from opt_ml_autogluon.train import train
from opt_ml_autogluon.vision import make_importable

from tests.images import jobs

STEPS = 4


class Job(jobs.Job):
    """A job of series with two quick models."""

    train = staticmethod(train)
    fast: ClassVar[dict[str, str]] = {
        "task": "timeseries",
        "prediction_length": str(STEPS),
        "hyperparameters": json.dumps(
            {"SeasonalNaive": {"n_jobs": 1}, "DirectTabular": {"model_name": "DUMMY"}}
        ),
        "verbosity": "0",
    }


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "ml")


@pytest.fixture(scope="module")
def sales():
    """Two series of 60 days with a week in them, and a known covariate."""
    rng = np.random.default_rng(3)
    days = pd.date_range("2024-01-01", periods=60, freq="D")
    return pd.concat(
        pd.DataFrame(
            {
                "item_id": item,
                "timestamp": days.astype(str),
                "target": (level + 10.0 * (days.dayofweek >= 5) + rng.normal(0, 0.5, len(days))).round(3),
                "promotion": (days.dayofweek == 2).astype(int),
            }
        )
        for item, level in (("north", 20.0), ("south", 50.0))
    ).reset_index(drop=True)


@pytest.fixture(scope="module")
def served(sales, tmp_path_factory):
    """One trained model, and the job that made it."""
    job = Job(tmp_path_factory.mktemp("series") / "ml")
    job.file("train", "sales.csv", sales).file("test", "sales.csv", sales)
    job.run({"known_covariates": "promotion"})
    return job, handler.model_fn(str(job.base / "model"))


def history(sales, model, items=("north",)):
    """The rows of some series, and those of the steps to forecast, without a target."""
    rows = sales[sales["item_id"].isin(items)].astype({"target": object})
    days = pd.date_range(rows["timestamp"].max(), periods=STEPS + 1, freq="D")[1:]
    ahead = [
        {"item_id": item, "timestamp": str(day.date()), "target": None, "promotion": 0}
        for item in items
        for day in days
    ]
    return pd.concat([rows, pd.DataFrame(ahead)], ignore_index=True)


def ask(model, body, content_type="text/csv", accept="application/json"):
    body = body if isinstance(body, bytes) else body.encode()
    answer, _ = handler.output_fn(handler.predict_fn(handler.input_fn(body, content_type), model), accept)
    return answer.decode()


def test_a_set_of_series_is_learned_measured_and_reported(served):
    job, _ = served
    assert job.model["task"] == "timeseries"
    assert job.model["freq"] == "D"
    assert {"WQL", "MASE", "MAE"} <= set(job.metrics["test"])
    assert 0 < job.metrics["test"]["MASE"] < 5
    assert {"SeasonalNaive", "DirectTabular"} <= {model["model"] for model in job.metrics["models"]}
    page = (job.base / "output" / "data" / "report.html").read_text()
    assert "Forecasts" in page
    assert page.count("<svg") == 2
    assert not list((job.base / "model").rglob("train.pkl")), "the data are in the model"


@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "application/jsonlines"])
def test_history_in_any_format_has_the_same_forecasts(served, sales, content_type):
    _, model = served
    rows = history(sales, model)
    bodies = {
        "text/csv": rows.to_csv(index=False),
        "application/json": json.dumps({"instances": json.loads(rows.to_json(orient="records"))}),
        "application/jsonlines": rows.to_json(orient="records", lines=True),
    }
    found = json.loads(ask(model, bodies[content_type], content_type))["predictions"]
    assert [row["timestamp"] for row in found] == [f"2024-03-{day:02d}T00:00:00" for day in (1, 2, 3, 4)]
    assert {row["item_id"] for row in found} == {"north"}
    assert all(row["0.1"] <= row["0.5"] <= row["0.9"] for row in found)
    assert found == json.loads(ask(model, bodies["text/csv"]))["predictions"]


def test_the_forecast_follows_the_week_of_the_history(served, sales):
    _, model = served
    found = json.loads(ask(model, history(sales, model, ("north", "south")).to_csv(index=False)))[
        "predictions"
    ]
    mean = {(row["item_id"], row["timestamp"][:10]): row["mean"] for row in found}
    assert mean["south", "2024-03-01"] > mean["north", "2024-03-01"] + 20
    weekend = [ask(model, history(sales, model).to_csv(index=False), accept="text/csv;output=mean")]
    assert len(weekend[0].split()) == STEPS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: rows.drop(index=20),
            r"Row 21: series 'north' has a gap: after 2024-01-20 .* fill_gaps",
        ),
        (
            lambda rows: rows.assign(
                target=rows["target"].where(rows["timestamp"] != rows["timestamp"].iloc[5])
            ),
            r"Row 6: series 'north' has no 'target' at 2024-01-06 .* fill_gaps",
        ),
        (lambda rows: rows.drop(index=rows.index[-1]), r"no row of series 'north' at 2024-03-04"),
        (lambda rows: rows.assign(target=None), "no history"),
        (lambda rows: rows.assign(timestamp="yesterday"), r"Row 1: the timestamp in column 'timestamp'"),
        (lambda rows: rows.drop(columns="promotion"), "expects 4: item_id, timestamp"),
    ],
)
def test_a_request_that_does_not_fit_is_400_and_names_the_row(served, sales, change, message):
    _, model = served
    with pytest.raises(RequestError, match=message) as caught:
        ask(model, change(history(sales, model)).to_csv(index=False))
    assert caught.value.status == 400


def refused(job, hyperparameters=None):
    with pytest.raises(UserError) as caught:
        job.run(hyperparameters)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_gap_is_named_with_its_line_and_the_cure(job, sales):
    message = refused(job.file("train", "sales.csv", sales.drop(index=[30, 31])))
    assert "train/sales.csv line 32: series 'north' has a gap: after 2024-01-30" in message
    assert "fill_gaps" in message


def test_a_target_that_is_missing_is_named_with_its_line_and_the_cure(job, sales):
    target = sales["target"].where(sales.index != 30)
    message = refused(job.file("train", "sales.csv", sales.assign(target=target)))
    assert "train/sales.csv line 32: series 'north' has no 'target' at 2024-01-31" in message
    assert "fill_gaps" in message


def test_gaps_are_filled_where_the_job_says_how(job, sales):
    job.file("train", "sales.csv", sales.drop(index=[30, 31])).run({"fill_gaps": "forward"})
    model = handler.model_fn(str(job.base / "model"))
    rows = sales[sales["item_id"] == "north"].drop(index=40)
    assert len(json.loads(ask(model, rows.to_csv(index=False)))["predictions"]) == STEPS


@pytest.mark.parametrize(
    ("change", "hyperparameters", "names"),
    [
        (lambda rows: rows.iloc[:6], {}, ["longest series has 6 steps", "prediction_length of 4", "needs 9"]),
        (lambda rows: pd.concat([rows, rows.iloc[:1]]), {}, ["line 122", "2024-01-01 a second time"]),
        (lambda rows: rows.rename(columns={"timestamp": "when"}), {}, ["hyperparameter timestamp", "when"]),
        (lambda rows: rows, {"known_covariates": "promo"}, ["'promo'", "Did you mean 'promotion'?"]),
        (lambda rows: rows, {"target": "timestamp"}, ["'timestamp' cannot be two things"]),
        (lambda rows: rows, {"freq": "fortnight"}, ["'fortnight' is no frequency"]),
        (lambda rows: rows, {"static_features": '["promotion"]'}, ["it changes within series 'north'"]),
        (lambda rows: rows, {"hyperparameters": '{"EST": {}}'}, ["'EST'", "AutoETS"]),
        (
            lambda rows: rows,
            {"presets": "chronos2", "hyperparameters": '{"Chronos2": {}}'},
            ["channel pretrained"],
        ),
    ],
)
def test_what_cannot_be_learned_is_named(job, sales, change, hyperparameters, names):
    message = refused(job.file("train", "sales.csv", change(sales)), hyperparameters)
    assert [name for name in names if name not in message] == []


def with_chronos(job):
    """What the hub has of Chronos-2, tiny and with random weights."""
    make_importable()
    from chronos.chronos2 import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig

    forecasting = {
        "context_length": 64,
        "output_patch_size": 4,
        "input_patch_size": 4,
        "input_patch_stride": 4,
        "quantiles": [step / 10 for step in range(1, 10)],
        "use_reg_token": True,
        "max_output_patches": 2,
    }
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = Chronos2CoreConfig(**sizes, chronos_config=forecasting, architectures=["Chronos2Model"])
    config.chronos_pipeline_class = "Chronos2Pipeline"
    folder = job.base / "input" / "data" / "pretrained" / "autogluon" / "chronos-2"
    folder.mkdir(parents=True)
    Chronos2Model(config).save_pretrained(folder)
    job.channels["pretrained"] = {"TrainingInputMode": "File"}
    return job


def test_a_pretrained_model_takes_its_weights_from_the_channel_and_into_the_model(job, sales):
    with_chronos(job).file("train", "sales.csv", sales)
    job.run({"hyperparameters": '{"Chronos2": {}}'})
    assert [model["model"] for model in job.metrics["models"]] == ["Chronos2"]
    shutil.rmtree(job.base / "input")
    model = handler.model_fn(str(job.base / "model"))
    assert len(json.loads(ask(model, sales.to_csv(index=False)))["predictions"]) == 2 * STEPS


def test_a_stopped_job_leaves_the_models_that_are_whole(job, sales, monkeypatch):
    original = fitting.print_metrics

    def stop_after_the_first(*arguments):
        original(*arguments)
        monkeypatch.setattr(stopping._State, "arrived", True)

    monkeypatch.setattr(fitting, "print_metrics", stop_after_the_first)
    job.file("train", "sales.csv", sales)
    with pytest.raises(stopping.Stopped):
        job.run()
    assert job.model["stopped"]
    assert [model["model"] for model in job.metrics["models"] if model["model"] != "WeightedEnsemble"] == [
        "SeasonalNaive"
    ]
    monkeypatch.undo()
    model = handler.model_fn(str(job.base / "model"))
    assert len(json.loads(ask(model, sales.to_csv(index=False)))["predictions"]) == 2 * STEPS


def test_a_job_that_is_started_again_fits_only_what_is_left(job, sales, capsys):
    (job.base / "checkpoints").mkdir(parents=True)
    job.file("train", "sales.csv", sales).run()
    first = job.metrics
    capsys.readouterr()
    job.run()
    printed = capsys.readouterr().out
    assert "SeasonalNaive: from its checkpoint." in printed
    assert "DirectTabular: from its checkpoint." in printed
    assert job.metrics["validation"] == pytest.approx(first["validation"])
