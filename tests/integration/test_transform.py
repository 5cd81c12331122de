"""Batch transform jobs in real containers of the tiny image, which answers 5.0 to each row of two numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration import tiny_image
from toolkit.errors import ToolkitError, WorkError
from toolkit.machine.container import Container
from toolkit.transform.job import execute
from toolkit.transform.json_path import parse
from toolkit.transform.result import TransformResult
from toolkit.transform.settings import TransformJob


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "in"
    (directory / "sub").mkdir(parents=True)
    (directory / "a.csv").write_text("1,2\n3,4\n")
    (directory / "sub" / "b.csv").write_text("5,6\n")
    return directory


@pytest.fixture
def transform(tiny: str, tmp_path: Path, source: Path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.json").write_text(json.dumps({"mean": 5.0, "features": 2}))

    def run(image: str = tiny, said: list[str] | None = None, **changes: object) -> TransformResult:
        usual = {
            "content_type": "text/csv",
            "accept": "text/csv",
            "split_type": "Line",
            "assemble_with": "Line",
            "max_retries": 0,
        }
        job = TransformJob(image, model, source, tmp_path / "out", **{**usual, **changes})  # type: ignore[arg-type]
        lines = said if said is not None else []
        return execute(job, lines.append, lambda _: None)

    return run


def outputs(directory: Path) -> dict[str, str]:
    files = (path for path in (directory / "out").rglob("*") if path.is_file())
    return {path.relative_to(directory / "out").as_posix(): path.read_text() for path in files}


@pytest.mark.contract("BATCH-10", "BATCH-12")
def test_each_file_has_an_output_of_its_name(transform, tmp_path: Path) -> None:
    result = transform()
    assert outputs(tmp_path) == {"a.csv.out": "5.0\n5.0\n", "sub/b.csv.out": "5.0\n"}
    assert [(file.records, file.requests) for file in result.files] == [(2, 1), (1, 1)]


@pytest.mark.contract("BATCH-10")
def test_a_file_that_fails_has_no_output_and_the_others_go_on(
    transform, tmp_path: Path, source: Path
) -> None:
    (source / "a.csv").write_text("1,2\n" * 3 + "1,two\n" + "1,2\n" * 3)
    said: list[str] = []
    result = transform(said=said, strategy="SingleRecord", max_concurrent=3)
    assert outputs(tmp_path) == {"sub/b.csv.out": "5.0\n"}
    assert [file.name for file in result.failed] == ["a.csv"]
    assert any(
        "failed  a.csv: record 4: the container answered 400" in line and "'two'" in line for line in said
    )


@pytest.mark.contract("BATCH-07", "BATCH-17")
def test_a_payload_without_a_limit_is_chunked_and_joined(transform, tmp_path: Path, source: Path) -> None:
    rows = "".join(f"{number},1,2\n" for number in range(3000))
    (source / "a.csv").write_text(rows)
    (source / "sub" / "b.csv").unlink()
    transform(
        max_payload=0,
        join_source="Input",
        input_filter=parse("--input-filter", "$[1:]"),
        output_filter=parse("--output-filter", "$[0,-1]"),
    )
    assert outputs(tmp_path)["a.csv.out"] == "".join(f"{number},5.0\n" for number in range(3000))


@pytest.mark.contract("BATCH-08", "BATCH-10")
def test_a_request_is_tried_again_before_its_file_fails(transform, source: Path) -> None:
    (source / "a.csv").write_text("nothing\n")
    result = transform(max_retries=1)
    assert result.retries == 1
    assert result.failed[0].cause.endswith(", 2 times")


def test_a_container_that_ends_ends_the_job(transform, tmp_path: Path, source: Path) -> None:
    (source / "a.csv").write_text("garbage\n")
    with (
        tiny_image.variant("dies", "ENV FAULT=dies-at-garbage") as image,
        pytest.raises(WorkError, match="exit code 5"),
    ):
        transform(image)
    assert outputs(tmp_path) == {}


def test_an_empty_file_has_an_empty_output(transform, tmp_path: Path, source: Path) -> None:
    (source / "a.csv").write_text("")
    transform()
    assert outputs(tmp_path)["a.csv.out"] == ""


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"--input .*nowhere does not exist"):
        execute(TransformJob("an-image", None, tmp_path / "nowhere", tmp_path), print, print)


def test_a_container_whose_end_the_engine_learns_late_ends_the_job(
    transform, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "a.csv").write_text("garbage\n")
    (source / "sub" / "b.csv").unlink()
    real = Container.is_running
    late: list[bool] = []

    def is_running(container: Container) -> bool:
        """True once more after the end."""
        running = real(container)
        if not running:
            late.append(True)
        return running or len(late) == 1

    monkeypatch.setattr(Container, "is_running", is_running)
    with (
        tiny_image.variant("dies", "ENV FAULT=dies-at-garbage") as image,
        pytest.raises(WorkError, match="exit code 5"),
    ):
        transform(image)
