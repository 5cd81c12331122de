"""The compiled ensemble: equal to the models for any rows, refused where it is not theirs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opt_ml.errors import UserError
from opt_ml_ensemble import handler
from opt_ml_ensemble.bundle import load_bundle
from opt_ml_ensemble.compile import compile_existing
from opt_ml_ensemble.compiled.ensemble import ensemble_of
from opt_ml_ensemble.compiled.loading import Unusable, load_compiled, sha256
from opt_ml_ensemble.compiled.stored_rows import stored_rows
from opt_ml_ensemble.compiled.tolerance import difference
from opt_ml_ensemble.quick import load_quick

ALL = "catboost,xgboost,extra_trees,random_forest,hist_gradient_boosting,linear"
TINY = {
    "num_round": "15",
    "extra_trees.n_estimators": "7",
    "random_forest.n_estimators": "7",
    "k_fold": "0",
    "nthread": "1",
}


def rows_of(rng: np.random.Generator, count: int, kinds: str) -> pd.DataFrame:
    """Columns of some kinds: n numbers, m numbers with gaps, w whole numbers, c few texts, t many texts."""
    columns = {}
    for place, kind in enumerate(kinds):
        if kind == "w":
            column = rng.integers(-3, 4, count)
        elif kind in "nm":
            column = rng.normal(0, 10.0 ** rng.integers(-3, 7), count)
        else:
            column = rng.choice([f"text-{number}" for number in range(3 if kind == "c" else 14)], count)
        if kind in "mct":
            column = np.where(rng.random(count) < 0.15, None, column)
        columns[f"{kind}{place}"] = column
    return pd.DataFrame(columns)


def label_of(rng: np.random.Generator, rows: pd.DataFrame, task: str) -> np.ndarray:
    total = rng.normal(0, 0.3, len(rows))
    for name in rows:
        is_text = str(name)[0] in "ct"
        codes = pd.factorize(rows[name])[0] if is_text else rows[name].to_numpy(dtype=float)
        total += np.nan_to_num((codes - np.nanmean(codes)) / (np.nanstd(codes) or 1.0))
    if task == "regression":
        return 1000.0 + 50.0 * total
    ranks = np.argsort(np.argsort(total))
    return ranks * (2 if task == "binary" else 4) // len(rows)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10_000),
    task=st.sampled_from(["regression", "binary", "multiclass"]),
    blend=st.sampled_from(["mean", "weighted", "stacking", "vote"]),
    kinds=st.text("nmwct", min_size=1, max_size=6),
    models=st.sets(st.sampled_from(ALL.split(",")), min_size=1),
)
def test_the_compiled_ensemble_equals_its_models_at_every_edge(new_job, seed, task, blend, kinds, models):
    rng = np.random.default_rng(seed)
    rows = rows_of(rng, 150, kinds)
    blend = "mean" if task == "regression" and blend == "vote" else blend
    job = new_job().file("train", "rows.csv", rows.assign(label=label_of(rng, rows, task)))
    directory = job.run(
        {**TINY, "objective": task, "blend": blend, "models": ",".join(sorted(models)), "label": "label"}
    )
    bundle, compiled = load_bundle(directory), load_compiled(directory)
    assert compiled is not None
    fresh = stored_rows(bundle, ensemble_of(bundle), None)  # made of thresholds alone
    assert difference(compiled.graph(fresh.rows), fresh.native, compiled.stored.scale)[0] <= 1
    for many in (1, 3, 300):
        part = fresh.rows[:many]
        assert difference(compiled.predict(part), bundle.predict(part), compiled.stored.scale)[0] <= 1
    if compiled.trees is not None:
        assert difference(compiled.trees(fresh.rows), fresh.native, compiled.stored.scale)[0] <= 1


@pytest.fixture
def model_dir(job, mixed):
    """A model with texts, in a directory of its own."""
    job.file("train", "rows.csv", mixed[["size", "colour", "code", "price"]]).run(
        {"models": "catboost,linear"}
    )
    return job.base / "model"


def refusal(model_dir) -> str:
    with pytest.raises(Unusable) as caught:
        load_compiled(model_dir)
    return str(caught.value)


def is_served_without(model_dir, capfd) -> bool:
    capfd.readouterr()
    served, quick = handler.model_fn(str(model_dir)), load_quick(model_dir)
    assert capfd.readouterr().err.count("The compiled model is not used: ") == 2
    answer = handler.output_fn(handler.predict_fn(handler.input_fn(b"50,red,1\n", "text/csv"), served), "*/*")
    return served.compiled is None and quick is None and float(answer[0]) > 0


@pytest.mark.parametrize("name", ["compiled/model.onnx", "compiled/rows.npz", "catboost.cbm", "model.json"])
def test_a_file_that_is_not_the_one_compiled_is_noticed(model_dir, name):
    path = model_dir / name
    path.write_bytes(path.read_bytes() + b" ")
    assert refusal(model_dir) == f"{path} is not the file that the model was compiled with"


def test_a_graph_that_was_changed_is_not_used(model_dir, capfd):
    path = model_dir / "compiled" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-20])
    assert is_served_without(model_dir, capfd)


def test_predictions_beyond_the_tolerance_are_not_used(model_dir, capfd):
    path, facts = model_dir / "compiled" / "rows.npz", model_dir / "compiled" / "compiled.json"
    with np.load(path) as content:
        rows, native = content["rows"], content["native"]
    native[3] *= 1.0001
    with path.open("wb") as file:
        np.savez(file, rows=rows, native=native)
    content = json.loads(facts.read_text())
    content["files"]["rows.npz"] = sha256(path)
    facts.write_text(json.dumps(content))
    assert refusal(model_dir).startswith("the graph predicts ")
    assert refusal(model_dir).endswith(f", natively {native[3]} for its stored row 4")
    assert is_served_without(model_dir, capfd)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2}'])
def test_facts_that_cannot_be_read_are_one_line(model_dir, content):
    (model_dir / "compiled" / "compiled.json").write_text(content)
    assert "\n" not in refusal(model_dir)


def test_a_model_of_an_earlier_image_is_served_as_before(model_dir, capfd):
    for path in (model_dir / "compiled").iterdir():
        path.unlink()
    (model_dir / "compiled").rmdir()
    assert load_quick(model_dir) is None
    assert handler.model_fn(str(model_dir)).compiled is None
    assert not capfd.readouterr().err


def test_an_exact_model_has_no_compiled_copy(job, mixed):
    job.file("train", "rows.csv", mixed[["size", "colour", "code", "price"]])
    model_dir = job.run({"models": "linear", "exact": "true"})
    assert not (model_dir / "compiled").exists()
    assert load_quick(model_dir) is None


def test_an_existing_model_is_compiled_into_a_copy(model_dir, tmp_path):
    shutil.rmtree(model_dir / "compiled")
    before = {path.name: path.read_bytes() for path in model_dir.iterdir()}
    target = tmp_path / "copy"
    target.mkdir()
    compile_existing(model_dir, target)
    assert {path.name: path.read_bytes() for path in model_dir.iterdir()} == before
    assert {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()} == before
    assert load_quick(target) is not None


def test_compiling_says_why_it_cannot(model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("opt_ml_ensemble.compiled.ensemble.MOST_NODES", 100)
    with pytest.raises(UserError, match=r"^Not compiled: its trees have .* nodes, more than 100"):
        compile_existing(model_dir, tmp_path)


def test_switched_off_the_handler_asks_the_models_alone(model_dir, monkeypatch):
    assert handler.model_fn(str(model_dir)).compiled is not None
    monkeypatch.setenv("OPT_ML_COMPILED", "off")
    assert handler.model_fn(str(model_dir)).compiled is None


def test_a_model_too_large_to_compile_is_one_line_and_no_failure(job, mixed, monkeypatch, capsys):
    monkeypatch.setattr("opt_ml_ensemble.compiled.ensemble.MOST_NODES", 100)
    job.file("train", "rows.csv", mixed[["size", "colour", "code", "price"]])
    model_dir = job.run({"models": "extra_trees"})
    assert not (model_dir / "compiled").exists()
    line = next(one for one in capsys.readouterr().out.splitlines() if one.startswith("Not compiled: "))
    assert line.endswith("nodes, more than 100. The model is served by its own libraries.")
