"""A tuning job as a person writes it, and what the API would refuse of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest

from toolkit.errors import ToolkitError
from toolkit.jobs.training_job import TrainingJob
from toolkit.tuning_jobs import tuning_job
from toolkit.tuning_jobs.tuning_job import Objective, TuningJob, parse_resources, plan
from toolkit.tuning_jobs.tuning_ranges import MOST_VALUES, Range, parse_range

TRAINING = TrainingJob(image="opt-ml/ensemble-cpu:latest", hyperparameters={"label": "y"})
SHAPES = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")["shapes"]


def make(*ranges: str, **changes: Any) -> TuningJob:
    usual: dict[str, Any] = {
        "training": TRAINING,
        "objective": Objective("rmse", True),
        "name": "a-tuning-job",
    }
    return TuningJob(
        ranges=tuple(parse_range(text) for text in ranges or ("depth=4:10",)), **{**usual, **changes}
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("depth=4:10", Range("depth", "Integer", 4, 10)),
        ("depth=4:10:log", Range("depth", "Integer", 4, 10, "Logarithmic")),
        ("rate=0.01:0.3:LOG", Range("rate", "Continuous", 0.01, 0.3, "Logarithmic")),
        ("rate=4.0:10", Range("rate", "Continuous", 4, 10)),
        ("rate=1e-5:1", Range("rate", "Continuous", 1e-5, 1)),
        ("shift=-2:3:linear", Range("shift", "Integer", -2, 3, "Linear")),
        ("momentum=0.5:0.99:reverse-log", Range("momentum", "Continuous", 0.5, 0.99, "ReverseLogarithmic")),
        ("booster=gbtree,dart", Range("booster", "Categorical", values=("gbtree", "dart"))),
        ("booster=gbtree", Range("booster", "Categorical", values=("gbtree",))),
        ("pair=a:1,b:2", Range("pair", "Categorical", values=("a:1", "b:2"))),
    ],
)
def test_a_range_is_read_as_it_is_written(text: str, wanted: Range) -> None:
    assert parse_range(text) == wanted


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("depth", "not NAME=LOW:HIGH"),
        ("=4:10", "not NAME=LOW:HIGH"),
        ("depth=4:ten", "bounds are not numbers"),
        ("rate=0.01-0.3", r"--range rate=0\.01:0\.3"),
        ("rate=1e-5-1e-2", "--range rate=1e-5:1e-2"),
        ("depth=3..8", "--range depth=3:8"),
        ("depth=4:10:cubic", "'cubic' is no scaling"),
        ("depth=4:10:log:3", "'log:3' is no scaling"),
    ],
)
def test_what_is_no_range_is_refused_with_an_example(text: str, complaint: str) -> None:
    with pytest.raises(ToolkitError, match=complaint):
        parse_range(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("depth=10:4", "10 is not below 4"),
        ("rate=0.0:1:log", "begins above 0"),
        ("momentum=0.5:1.0:reverse-log", "0 <= x < 1"),
        ("depth=0:1:reverse-log", "is continuous"),
        ("rate=nan:1.0", "not below"),
        ("rate=0.0:inf", "not below"),
        ("booster=a,a", "different values"),
        ("booster=" + ",".join(map(str, range(31))), "1 to 30"),
        ("booster=b," + "x" * 257, "256 characters"),
        ("label=a,b", "both a range and a fixed hyperparameter"),
    ],
)
def test_a_range_that_the_api_refuses_is_refused_here(text: str, complaint: str) -> None:
    with pytest.raises(ToolkitError, match=complaint):
        plan(make(text))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "x" * 33}, "1 to 32 letters"),
        ({"name": "-x"}, "1 to 32 letters"),
        ({"max_jobs": 0}, "max-jobs"),
        ({"max_jobs": 751, "ranges": (parse_range("a=0.0:1"),)}, "max-jobs"),
        ({"parallel_jobs": 0}, "parallel-jobs"),
        ({"max_failed": 0}, "max-failed"),
        ({"seed": -1}, "seed"),
        ({"ranges": ()}, "1 to 30 hyperparameters"),
        ({"ranges": tuple(parse_range(f"a{n}=1:2") for n in range(31))}, "1 to 30 hyperparameters"),
        ({"ranges": (parse_range("a=1:2"),) * 2}, "given twice"),
        ({"parents": (Path("x"),) * 6}, "at most 5"),
        ({"strategy": "Grid"}, "categorical ranges alone"),
        ({"strategy": "Hyperband"}, "--min-resource"),
        ({"resources": (1, 9)}, "only Hyperband"),
        ({"strategy": "Hyperband", "resources": (9, 9)}, "not below"),
        ({"strategy": "Hyperband", "resources": (1, 9), "early_stopping": True}, "by itself"),
        ({"objective": Objective("", True)}, "1 to 255 characters"),
    ],
)
def test_a_description_that_the_api_refuses_is_refused_here(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ToolkitError, match=complaint):
        plan(replace(make(), **changes))


def test_a_channel_that_is_missing_is_told_before_anything_runs(tmp_path: Path) -> None:
    from toolkit.jobs.training_job import Channel

    training = replace(TRAINING, channels=(Channel("train", tmp_path / "no-such"),))
    with pytest.raises(ToolkitError, match="no-such does not exist"):
        plan(make(training=training))


def test_the_limits_are_those_of_the_api() -> None:
    assert SHAPES["IntegerParameterRanges"]["max"] == tuning_job.MOST_RANGES
    assert SHAPES["ParameterValues"]["max"] == MOST_VALUES
    assert SHAPES["ParentHyperParameterTuningJobs"]["max"] == tuning_job.MOST_PARENTS
    assert SHAPES["HyperParameterTuningJobName"]["pattern"] == tuning_job._NAME.pattern
    assert set(SHAPES["HyperParameterTuningJobStrategyType"]["enum"]) == set(tuning_job.STRATEGIES)


def test_jobs_at_one_time_share_the_cpus_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert plan(make(parallel_jobs=4)).training.cpus == 2
    assert plan(make(parallel_jobs=1)).training.cpus is None
    assert plan(make(parallel_jobs=4, training=replace(TRAINING, cpus=0.5))).training.cpus == 0.5


def test_there_are_no_more_jobs_than_combinations() -> None:
    assert plan(make("depth=4:6", "booster=a,b", max_jobs=100)).max_jobs == 6
    assert plan(make("rate=0.0:1", max_jobs=100)).max_jobs == 100


def test_auto_is_logarithmic_over_three_powers_of_ten() -> None:
    assert parse_range("a=0.001:1.0").spread == "Logarithmic"
    assert parse_range("a=0.01:1.0").spread == "Linear"
    assert parse_range("a=0.0:1.0").spread == "Linear"


@pytest.mark.contract("TRAIN-112")
def test_a_training_job_gets_its_values_the_fixed_ones_and_the_name_of_the_metric() -> None:
    training = make(jobs_dir=Path("jobs")).training_job(7, {"depth": "5"})
    assert training.hyperparameters == {"label": "y", "depth": "5", "_tuning_objective_metric": "rmse"}
    assert training.name.startswith("a-tuning-job-007-")
    assert len(training.name) == len("a-tuning-job-007-") + 8
    assert training.jobs_dir == Path("jobs/a-tuning-job")


def test_the_default_name_fits_the_api_with_any_image() -> None:
    name = plan(make(name="", training=replace(TRAINING, image="a.b/c/" + "long-" * 20 + ":latest"))).name
    assert name.startswith("long-long-long-lon")
    assert len(name) <= 32


@pytest.mark.contract("TRAIN-110", "TRAIN-111")
@pytest.mark.parametrize(
    ("expression", "line", "value"),
    [
        ("", "epoch=1; rmse:5.5; train-rmse=4;", 5.5),
        ("", "train-rmse=4;", None),
        (r"loss is ([\d.]+)", "loss is 1.5, loss is 2.5", 2.5),
        (r"^loss is (\S+)", "loss is unknown", None),
        (r"loss is (\S+)", "loss is nan", None),
    ],
)
def test_the_objective_is_found_by_its_name_or_by_an_expression(
    expression: str, line: str, value: float | None
) -> None:
    training = replace(TRAINING, metrics={"rmse": expression} if expression else {})
    assert make(training=training).objective_in(line) == value


def test_each_job_has_checkpoints_of_its_own(tmp_path: Path) -> None:
    training = make(training=replace(TRAINING, checkpoint_dir=tmp_path)).training_job(1, {})
    assert training.checkpoint_dir == tmp_path / training.name


def test_resources_come_in_pairs() -> None:
    assert parse_resources(None, None) is None
    assert parse_resources(1, 9) == (1, 9)
    with pytest.raises(ToolkitError, match="together"):
        parse_resources(1, None)


@pytest.mark.parametrize("write", [TuningJob.describe, TuningJob.as_json])
def test_a_dry_run_shows_the_search_and_the_first_job(write: Callable[[TuningJob], str]) -> None:
    text = write(plan(make("rate=0.01:0.3:log", max_jobs=9)))
    assert "0.01 to 0.3, logarithmic" in text
    assert '"rate": "0.01"' in text or '\\"rate\\": \\"0.01\\"' in text


def test_the_dry_run_for_programs_is_json() -> None:
    document = json.loads(plan(make(max_jobs=3)).as_json())
    assert (document["max_jobs"], document["objective"]) == (3, {"name": "rmse", "type": "Minimize"})


def test_a_range_knows_how_many_values_it_has() -> None:
    sizes = [parse_range(text).size for text in ("a=1:3", "a=x,y", "a=0.0:1", "a=1.0:1.0")]
    assert sizes == [3, 2, math.inf, 1]
