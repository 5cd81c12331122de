"""Training that goes on from the model of an earlier job."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
from opt_ml.errors import UserError
from opt_ml.training import stopping
from opt_ml_ensemble.bundle import load_bundle
from opt_ml_ensemble.progress import FitProgress

MODEL_TYPE = "application/x-sagemaker-model"
COLUMNS = ["size", "colour", "code"]
FIXED = {"early_stopping_rounds": "0", "num_round": "20"}


@pytest.fixture
def first(new_job, mixed):
    """A job on the first half of the rows, whose model others go on from; by label."""

    def run(label="price", **changes):
        job = new_job().file("train", "first.csv", mixed[[*COLUMNS, label]][:100])
        job.run({**FIXED, **changes})
        return job

    return run


def give_model(job, earlier, packed=True):
    """The earlier job's model as the channel `model`: model.tar.gz, or its files."""
    source = earlier.base / "model"
    if not packed:
        for path in source.rglob("*"):
            if path.is_file():
                job.file("model", str(path.relative_to(source)), path.read_bytes())
        return job
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(source, arcname=".")  # as SageMaker's own: names begin with ./
    return job.file("model", "model.tar.gz", buffer.getvalue(), ContentType=MODEL_TYPE)


@pytest.mark.contract("TRAIN-63", "TRAIN-64")
@pytest.mark.parametrize("packed", [True, False], ids=["model.tar.gz", "files"])
@pytest.mark.parametrize("label", ["price", "dear", "band"])
def test_boosters_go_on_and_the_others_are_trained_anew(new_job, mixed, first, capsys, packed, label):
    earlier = first(label)
    job = new_job().file("train", "second.csv", mixed[[*COLUMNS, label]][100:])
    give_model(job, earlier, packed).run({**FIXED, "num_round": "15"})
    assert {name: model["rounds"] for name, model in job.model["models"].items()} == {
        "catboost": 35, "xgboost": 35, "extra_trees": None, "linear": None,
    }  # fmt: skip
    told = job.metrics["incremental"]
    assert told["rounds"] == {"catboost": 20, "xgboost": 20}
    assert told["anew"] == ["extra_trees", "linear"]
    assert told["folds"] == "continued"
    assert "goes on from a model of catboost 20 rounds, xgboost 20 rounds." in capsys.readouterr().out
    # The first trees are those of the earlier model.
    before, after = (load_bundle(one.base / "model").models["xgboost"]._booster for one in (earlier, job))
    assert after.get_dump()[: len(before.get_dump())] == before.get_dump()


def test_more_rounds_on_the_same_rows_fit_them_better(new_job, mixed, first):
    earlier = first()
    job = new_job().file("train", "first.csv", mixed[[*COLUMNS, "price"]][:100])
    give_model(job, earlier).run({**FIXED, "num_round": "100"})
    for name in ("catboost", "xgboost"):
        before, after = (one.metrics["train"]["models"][name]["rmse"] for one in (earlier, job))
        assert after < before / 2


@pytest.mark.contract("TRAIN-92")
def test_checkpoints_of_folds_trained_anew_are_not_those_of_folds_that_go_on(new_job, mixed, first):
    """The same rows in another file are, by its sha256, rows that the earlier model has not seen."""
    earlier = first(models="xgboost")
    rows = mixed[[*COLUMNS, "price"]][:100].to_csv(index=False)
    values = {**FIXED, "models": "xgboost", "num_round": "15"}
    alone, after = (new_job().file("train", "rows.csv", rows + "\n") for _ in range(2))
    give_model(alone, earlier).run(values)
    (give_model(after, earlier).base / "checkpoints").mkdir()
    after.file("train", "rows.csv", rows).run(values)
    after.file("train", "rows.csv", rows + "\n").run(values)
    assert alone.metrics["incremental"]["folds"] == "continued"
    assert after.metrics == alone.metrics


def test_folds_never_go_on_from_a_model_that_has_seen_their_rows(new_job, mixed, first, capsys):
    """Else the rows held out would be rows learned from, and the scores of the boosters too good."""
    earlier = first()
    same = new_job().file("train", "first.csv", mixed[[*COLUMNS, "price"]][:100])
    give_model(same, earlier).run({**FIXED, "num_round": "15"})
    assert same.metrics["incremental"]["folds"] == "anew"
    assert same.model["models"]["xgboost"]["rounds"] == 35
    from_the_beginning = new_job().file("train", "first.csv", mixed[[*COLUMNS, "price"]][:100])
    from_the_beginning.run({**FIXED, "num_round": "35"})
    assert same.metrics["folds"] == from_the_beginning.metrics["folds"]
    # Also the model after that one remembers the files of the first.
    third = new_job().file("train", "first.csv", mixed[[*COLUMNS, "price"]][:100])
    second = new_job().file("train", "second.csv", mixed[[*COLUMNS, "price"]][100:])
    give_model(second, earlier).run(FIXED)
    give_model(third, second).run({**FIXED, "num_round": "5"})
    assert third.metrics["incremental"]["folds"] == "anew"
    assert third.model["models"]["xgboost"]["rounds"] == 45


@pytest.mark.parametrize(
    ("values", "channel", "named"),
    [
        ({"k_fold": "0"}, None, "train/first.csv"),
        ({"validation_fraction": "0.2"}, None, "train/first.csv"),
        ({}, "validation", "validation/first.csv"),
        ({"k_fold": "0"}, "validation", "validation/first.csv"),
    ],
)
def test_a_model_is_not_measured_on_rows_that_it_has_learned_from(
    new_job, mixed, first, values, channel, named
):
    rows = mixed[[*COLUMNS, "price"]]
    job = new_job()
    if channel:
        job.file("train", "second.csv", rows[100:]).file(channel, "first.csv", rows[:100])
    else:
        job.file("train", "first.csv", rows[:100])
    with pytest.raises(UserError, match=named):
        give_model(job, first()).run({**FIXED, **values})


def test_without_folds_the_validation_rows_stop_what_goes_on(new_job, mixed, first):
    rows = mixed[[*COLUMNS, "price"]]
    job = new_job().file("train", "second.csv", rows[100:160]).file("validation", "third.csv", rows[160:])
    give_model(job, first()).run(
        {"k_fold": "0", "num_round": "300", "eta": "0.3", "early_stopping_rounds": "5"}
    )
    assert all(20 < job.model["models"][name]["rounds"] < 320 for name in ("catboost", "xgboost"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda rows: rows.drop(columns="colour"), "'colour'"),
        (lambda rows: rows.rename(columns={"size": "Size"}), "Did you mean 'Size'"),
        (lambda rows: rows.assign(extra=1.5), "'extra'"),
        (lambda rows: rows.assign(code="x"), "'x'"),
        (lambda rows: rows.rename(columns={"dear": "cheap"}), "'cheap'"),
        (lambda rows: rows.assign(dear=["maybe", *rows["dear"][1:]]), "second.csv line 2.*'maybe'.*no, yes"),
    ],
)
def test_a_table_of_another_kind_is_refused_by_column_or_class(new_job, mixed, first, change, named):
    job = new_job().file("train", "second.csv", change(mixed[[*COLUMNS, "dear"]][100:].copy()))
    with pytest.raises(UserError, match=named):
        give_model(job, first("dear")).run(FIXED)


def test_a_new_category_counts_as_missing_and_is_told(new_job, mixed, first, capsys):
    rows = mixed[[*COLUMNS, "price"]][100:].copy()
    rows.loc[rows.index[:5], "colour"] = "violet"
    give_model(new_job().file("train", "second.csv", rows), first()).run(FIXED)
    assert (
        "Column 'colour' has 1 values that the earlier model has not seen ('violet')"
        in capsys.readouterr().out
    )


def test_an_objective_of_another_task_is_refused(new_job, mixed, first):
    job = give_model(new_job().file("train", "second.csv", mixed[[*COLUMNS, "dear"]][100:]), first("dear"))
    with pytest.raises(
        UserError, match="objective is multi:softmax, but the earlier model is of a binary task"
    ):
        job.run({"objective": "multi:softmax"})


def archive(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
        tar.addfile(member)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"notes.txt": b"no model"}, "must hold one model.tar.gz.*notes.txt"),
        ({}, "holds nothing"),
        ({"a.tar.gz": archive("x"), "b.tar.gz": archive("x")}, "a.tar.gz, b.tar.gz"),
        ({"model.tar.gz": b"not a tar"}, "model.tar.gz cannot be unpacked"),
        ({"model.tar.gz": archive("x")[:-20]}, "model.tar.gz"),
        ({"model.tar.gz": archive("../model.json")}, "'../model.json'"),
        ({"model.tar.gz": archive("/tmp/model.json")}, "'/tmp/model.json'"),
        ({"model.tar.gz": archive("model.json", tarfile.SYMTYPE)}, "'model.json', which is a link"),
        ({"model.tar.gz": archive("other.json")}, "model.json does not exist"),
        ({"model.json": b'{"format": 99}'}, "format 99"),
    ],
)
def test_a_channel_without_a_model_of_ours_is_refused_by_name(job, mixed, files, named):
    job.file("train", "rows.csv", mixed[[*COLUMNS, "price"]])
    job.channels["model"] = {"TrainingInputMode": "File"}
    (job.base / "input" / "data" / "model").mkdir(parents=True)
    for name, content in files.items():
        job.file("model", name, content)
    with pytest.raises(UserError, match=named):
        job.run(FIXED)


@pytest.mark.contract("TRAIN-92")
@pytest.mark.parametrize("polls", [30, 75])
def test_a_stopped_job_that_goes_on_from_a_model_goes_on_from_its_checkpoints(
    new_job, mixed, first, monkeypatch, polls
):
    earlier = first()
    models = []
    for interrupted in (False, True):
        job = give_model(new_job().file("train", "second.csv", mixed[[*COLUMNS, "price"]][100:]), earlier)
        values = {**FIXED, "models": "xgboost,catboost"}
        (job.base / "checkpoints").mkdir()
        if interrupted:
            asked = 0

            def stops(progress: FitProgress) -> bool:
                nonlocal asked
                asked += 1
                return asked > polls

            with monkeypatch.context() as patched, pytest.raises(stopping.Stopped):
                patched.setattr(FitProgress, "stops", property(stops))
                job.run(values)
        models.append(load_bundle(job.run(values)))
    matrix = np.random.default_rng(1).normal(50, 20, (200, 3)).astype(np.float32)
    matrix[:, 1] = np.arange(200) % 3
    for name, predicted in models[0].predict_each(matrix).items():
        np.testing.assert_array_equal(models[1].models[name].predict(matrix), predicted, err_msg=name)
    assert json.dumps(models[0].blend.weights) == json.dumps(models[1].blend.weights)
