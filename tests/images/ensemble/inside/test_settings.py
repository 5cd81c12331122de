"""The table of hyperparameters: parsing, precedence, and the README that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.environment import decode_hyperparameter
from opt_ml.errors import UserError
from opt_ml.training.hyperparameters import markdown
from opt_ml_ensemble.hyperparameters import MODELS, TABLE
from opt_ml_ensemble.models import MODELS as KINDS
from opt_ml_ensemble.settings import Settings

README = Path(__file__).parents[4] / "containers" / "ensemble" / "README.md"


def test_no_hyperparameter_at_all_gives_every_default():
    settings = Settings.read({})
    assert settings["models"] == ("catboost", "xgboost", "extra_trees", "linear")
    assert {row.name: row.default for row in TABLE} == settings.values


def test_the_names_of_the_table_are_unique_and_every_model_has_its_own():
    names = [name for row in TABLE for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert tuple(KINDS) == tuple(MODELS) or set(KINDS) == set(MODELS)
    for model in MODELS:
        assert Settings.read({}).of_model(model)


def test_every_default_is_allowed_by_its_own_row():
    for row in TABLE:
        if row.default is not None:
            value = ",".join(row.default) if isinstance(row.default, tuple) else str(row.default)
            assert Settings.read({row.name: value})[row.name] == row.default


def test_what_a_row_follows_exists_and_is_of_the_same_kind():
    rows = {row.name: row for row in TABLE}
    for row in TABLE:
        if row.follows:
            assert rows[row.follows].kind == row.kind


@pytest.mark.contract("TRAIN-30", "TRAIN-32")
@pytest.mark.parametrize("raw", ["0.3", '"0.3"', 0.3, "3e-1"])
def test_a_number_is_read_however_the_sdk_wrote_it(raw):
    assert Settings.read({"eta": decode_hyperparameter(raw)})["eta"] == 0.3


@pytest.mark.parametrize(
    "raw", ["catboost, linear", "catboost linear", ["catboost", "linear"], "CatBoost,linear,linear"]
)
def test_a_list_is_read_however_it_is_written(raw):
    assert Settings.read({"models": raw})["models"] == ("catboost", "linear")


def test_a_models_own_value_wins_over_the_shared_one():
    settings = Settings.read({"max_depth": "3", "catboost.depth": "7", "eta": 0.2})
    assert settings.of_model("catboost")["depth"] == 7
    assert settings.of_model("xgboost")["max_depth"] == 3
    assert settings.of_model("catboost")["learning_rate"] == settings.of_model("xgboost")["eta"] == 0.2
    assert settings.of_model("extra_trees")["max_depth"] is None


def test_a_model_that_is_not_trained_does_not_refuse_a_shared_value():
    assert Settings.read({"max_depth": 30, "models": "xgboost"}).of_model("xgboost")["max_depth"] == 30


@pytest.mark.contract("TRAIN-30", "TRAIN-32")
@pytest.mark.parametrize("name", ["2024.10", "null", "1e5", "007", "true", "[a]", "[1]", "{}", "price"])
@pytest.mark.parametrize("quotes", ["", '"'])
def test_a_column_is_named_as_it_is_written_also_where_its_name_is_json(job, name, quotes):
    rows = "".join(f"{i},{i % 7},{i % 5}.5\n" for i in range(30))
    job.file("train", "rows.csv", f"a,{name},z\n{rows}")
    job.run({"label": f"{quotes}{name}{quotes}", "models": "linear"})
    assert job.model["schema"]["label"] == name


@given(
    st.sampled_from(TABLE),
    st.one_of(st.text(max_size=8), st.floats(), st.integers(), st.none(), st.booleans()),
)
def test_any_value_is_taken_or_refused_in_one_line_that_names_it(row, value):
    try:
        Settings.read({row.name: value})
    except UserError as error:
        assert row.name in str(error)
        assert "\n" not in str(error)


@pytest.mark.skipif(not README.is_file(), reason="the README lies in the repository, not in the image")
def test_the_readme_shows_the_table_as_it_is():
    assert markdown(TABLE) in README.read_text(encoding="utf-8")
