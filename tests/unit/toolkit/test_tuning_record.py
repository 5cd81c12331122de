"""tuning.json, the page, and what is shown of a tuning job."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest

from toolkit.errors import ToolkitError
from toolkit.jobs.training_job import TrainingJob
from toolkit.tuning_jobs.tuning import nearest_first
from toolkit.tuning_jobs.tuning_job import Objective, TuningJob
from toolkit.tuning_jobs.tuning_ranges import parse_range
from toolkit.tuning_jobs.tuning_record import Trial, Tuning, describe, known_results, write
from toolkit.tuning_jobs.tuning_report import write_report
from toolkit.tuning_jobs.tuning_view import View

SHAPES = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")["shapes"]


def tuning(**changes: Any) -> Tuning:
    """Four jobs: two completed, one stopped early, one failed."""
    usual: dict[str, Any] = {
        "training": TrainingJob(
            image="opt-ml/x:latest",
            hyperparameters={"label": "y"},
            environment={"API_KEY": "hidden"},
            metrics={"rmse": "rmse is ([0-9.]+)"},
        ),
        "objective": Objective("rmse", True),
        "ranges": tuple(parse_range(text) for text in ("rate=0.01:0.3:log", "depth=4:10", "booster=a,b")),
        "name": "a-tuning-job",
        "max_jobs": 4,
        "early_stopping": True,
    }
    job = TuningJob(**{**usual, **changes})

    def values(rate: str, booster: str) -> dict[str, str]:
        return {"rate": rate, "depth": "5", "booster": booster}

    trials = [
        Trial(1, "a-1", values("0.1", "a"), "Completed", (9.0, 6.0, 5.0), duration_s=3.0, model=Path("m/1")),
        Trial(
            2,
            "a-2",
            values("0.2", "b"),
            "Completed",
            (9.0, 4.0),
            duration_s=3.0,
            model=Path("m/2"),
            used="CPU 1",
        ),
        Trial(3, "a-3", values("0.02", "a"), "Stopped", (9.0, 3.0), early_stopped=True, duration_s=1.0),
        Trial(4, "a-4", values("0.3", "b"), "Failed", (), failure_reason="No.\nTraceback", duration_s=1.0),
    ]
    return Tuning(job, trials, status="Completed", ended=True)


def test_the_record_has_the_names_of_the_api() -> None:
    document = describe(tuning(parents=(Path("jobs/earlier"),)))
    own = {"TrainingJobSummaries"}
    assert set(document) - own <= set(SHAPES["DescribeHyperParameterTuningJobResponse"]["members"])
    required = set(SHAPES["DescribeHyperParameterTuningJobResponse"]["required"])
    assert required <= set(document)
    config = document["HyperParameterTuningJobConfig"]
    assert set(config) <= set(SHAPES["HyperParameterTuningJobConfig"]["members"])
    assert set(config["ParameterRanges"]) <= set(SHAPES["ParameterRanges"]["members"])
    assert set(document["TrainingJobStatusCounters"]) == set(SHAPES["TrainingJobStatusCounters"]["members"])
    summary = set(document["TrainingJobSummaries"][0])
    more = {"ObjectiveValues", "TrainingTimeInSeconds", "ModelArtifacts"}
    assert summary - more <= set(SHAPES["HyperParameterTrainingJobSummary"]["members"])
    definition = document["TrainingJobDefinition"]
    assert set(definition) <= set(SHAPES["HyperParameterTrainingJobDefinition"]["members"])
    assert definition["StaticHyperParameters"] == {"label": "y"}
    assert "hidden" not in json.dumps(document)


def test_the_best_job_is_the_best_one_that_left_a_model() -> None:
    document = describe(tuning())
    assert document["BestTrainingJob"]["TrainingJobName"] == "a-2"
    assert [trial.name for trial in tuning().ranked] == ["a-3", "a-2", "a-1"]
    largest = tuning(objective=Objective("rmse", False))
    assert largest.best is not None
    assert largest.best.name == "a-1"


def test_of_two_alike_the_earlier_is_the_best() -> None:
    record = tuning()
    record.trials = [record.trials[1], Trial(5, "a-5", {}, "Completed", (4.0,), model=Path("m/5"))]
    assert record.best is record.trials[0]


def test_the_counters_add_up() -> None:
    document = describe(tuning())
    assert document["TrainingJobStatusCounters"] == {
        "Completed": 2,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 1,
        "Stopped": 1,
    }
    assert document["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 1}


def test_what_was_written_is_what_another_job_learns_from(tmp_path: Path) -> None:
    write(tmp_path / "tuning.json", describe(tuning()))
    found = known_results(tmp_path)
    assert [result.objective for result in found] == [5.0, 4.0, 3.0]
    assert found[0].values == {"rate": "0.1", "depth": "5", "booster": "a"}
    assert [path.name for path in tmp_path.iterdir()] == ["tuning.json"]


@pytest.mark.parametrize(
    ("text", "complaint"), [(None, "cannot be read"), ("{", "not the record"), ("[]", "not the record")]
)
def test_what_is_no_tuning_job_cannot_be_learnt_from(
    tmp_path: Path, text: str | None, complaint: str
) -> None:
    if text is not None:
        (tmp_path / "tuning.json").write_text(text)
    with pytest.raises(ToolkitError, match=complaint):
        known_results(tmp_path)


def test_the_page_ranks_the_jobs_and_plots_every_hyperparameter(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", tuning())
    text = (tmp_path / "report.html").read_text()
    assert "<script" not in text
    for heading in ("rate", "depth", "booster", "By job", "As it came in the log of the best jobs"):
        assert f"<h3>{heading}</h3>" in text
    assert text.index(">003<") < text.index(">002<") < text.index(">001<") < text.index(">004<")
    assert "stopped early" in text
    assert "0.01 to 0.3, logarithmic" in text


def test_the_page_of_a_tuning_job_that_has_just_begun_has_no_empty_plot(tmp_path: Path) -> None:
    begun = tuning()
    begun.trials, begun.status = (
        [Trial(1, "a-1", {"rate": "0.1", "depth": "5", "booster": "a"})],
        "InProgress",
    )
    write_report(tmp_path / "report.html", begun)
    text = (tmp_path / "report.html").read_text()
    assert "<svg" not in text
    assert ">running</td>" in text


def test_without_a_screen_each_job_that_ends_is_one_line() -> None:
    stream = io.StringIO()
    with View(stream) as view:
        begun = Tuning(tuning().job, [Trial(1, "a-1", {"rate": "0.1"})])
        view.update(begun)
        assert stream.getvalue() == ""
        for _ in range(2):
            view.update(tuning())
    assert stream.getvalue().splitlines() == [
        "001 rate=0.1 depth=5 booster=a completed rmse 5",
        "002 rate=0.2 depth=5 booster=b completed rmse 4 (best so far)",
        "003 rate=0.02 depth=5 booster=a stopped early rmse 3",
        "004 rate=0.3 depth=5 booster=b failed: No.",
    ]


def test_the_end_names_the_best_job_and_its_model() -> None:
    stream = io.StringIO()
    View(stream).close(tuning())
    text = stream.getvalue()
    assert "Best: a-2, rmse 4, with rate=0.2 depth=5 booster=b\nModel: m/2\nIt used: CPU 1\n" in text
    assert text.splitlines()[-1] == "Completed: jobs/a-tuning-job/report.html, jobs/a-tuning-job/tuning.json"


def test_of_many_metrics_the_misprinted_one_stands_first() -> None:
    known = [*(f"validation-linear-fold-{fold}-rmse" for fold in range(5)), "train-rmse", "validation-rmse"]
    named = nearest_first("validation-rsme", known)
    assert named[0] == "validation-rmse"
    assert sorted(named) == sorted(known)


def test_square_brackets_in_a_reason_or_a_value_are_shown_as_they_are() -> None:
    job = tuning(ranges=(parse_range("layers=[/x],[b]"),)).job
    trial = Trial(1, "a-1", {"layers": "[/x]"}, "Failed", failure_reason="KeyError: [/opt/ml] :smile:")
    stream = io.StringIO()
    with View(stream) as view:
        view.update(Tuning(job, [trial]))
    view.close(Tuning(job, [trial], status="Failed", reason="Why: [/no]"))
    text = stream.getvalue()
    assert "001 layers=[/x] failed: KeyError: [/opt/ml] :smile:" in text
    assert "\n001    [/x] " in text
    assert "Why: [/no]" in text
