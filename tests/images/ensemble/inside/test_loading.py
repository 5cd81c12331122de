"""A model directory of which a file is missing or broken: one line that names the file."""

from __future__ import annotations

import json
import shutil

import pytest
from opt_ml.errors import UserError
from opt_ml_ensemble.bundle import load_bundle

MODELS = "catboost,xgboost,extra_trees,random_forest,hist_gradient_boosting,linear"
FILES = [
    "model.json", "catboost.cbm", "xgboost.ubj", "extra_trees.skops", "random_forest.skops",
    "hist_gradient_boosting.skops", "linear.skops", "blend.skops",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(job_class, mixed, tmp_path_factory):
    job = job_class(tmp_path_factory.mktemp("ml")).file("train", "rows.csv", mixed[["size", "code", "price"]])
    return job.run({"models": MODELS, "blend": "stacking", "num_round": 5})


@pytest.fixture
def model_dir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "model")


def failure(model_dir) -> str:
    with pytest.raises(UserError) as caught:
        load_bundle(model_dir)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1024
    return text


def test_the_model_has_these_files_and_can_be_loaded(model_dir):
    assert {path.name for path in model_dir.iterdir()} == {*FILES, "metrics.json", "report.html", "compiled"}
    assert list(load_bundle(model_dir).models) == MODELS.split(",")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(model_dir, name):
    (model_dir / name).unlink()
    assert failure(model_dir).startswith(f"{model_dir / name} does not exist. Serve a model that")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["empty", "cut", "other"])
def test_a_broken_file_is_named(model_dir, name, kind):
    content = (model_dir / name).read_bytes()
    broken = {"empty": b"", "cut": content[: len(content) // 2], "other": b"\xff\xfe nonsense"}
    (model_dir / name).write_bytes(broken[kind])
    assert failure(model_dir).startswith(f"{model_dir / name} cannot be read (")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: [],
        lambda content: {"format": 1},
        lambda content: {**content, "models": {"unheard_of": {}}},
        lambda content: {**content, "schema": {**content["schema"], "features": None}},
    ],
)
def test_a_model_json_of_another_content_is_named(model_dir, change):
    path = model_dir / "model.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    assert failure(model_dir).startswith(f"{path} cannot be read (")
