"""`build.py ci`: the workflows hold the images of the matrix, and run what there is to run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.codebuild.log_stream import LogStream
from tests.codebuild.runner import Shell
from toolkit.building import images, pipelines
from toolkit.building.images import ROOT
from toolkit.cli import build_parser, main

MATRIX = images.matrix()
USUAL = pipelines.usual_images(MATRIX)
RECORD = '#!/bin/sh\necho "$(basename "$0") $* IMAGE=$IMAGE WHEELHOUSE=$WHEELHOUSE" >> calls\n'


def read(kind, capsys, *names):
    assert main(["ci", kind, *names]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def commands(kind, capsys):
    document = read(kind, capsys)
    if kind == "github":
        return [step["run"] for step in document["jobs"]["image"]["steps"] if "run" in step]
    return [line for phase in document["phases"].values() for line in phase["commands"]]


def test_the_workflow_of_github_has_a_job_for_each_image(capsys):
    job = read("github", capsys)["jobs"]["image"]
    rows = {row["image"]: row for row in job["strategy"]["matrix"]["include"]}
    assert list(rows) == [image.name for image in USUAL]
    for image in USUAL:
        assert rows[image.name]["python"] == image.python
        assert rows[image.name]["large"] == (image.variant.size_budget_mb > pipelines.LARGE_MB)
    used = set(re.findall(r"matrix\.(\w+)", (ROOT / "toolkit/data/ci/github.yml").read_text()))
    assert used == set(next(iter(rows.values())))


def test_the_buildspec_has_a_build_for_each_image(capsys):
    rows = read("codepipeline", capsys)["batch"]["build-list"]
    assert [row["env"]["variables"]["IMAGE"] for row in rows] == [image.name for image in USUAL]
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,128}", row["identifier"]) for row in rows)


def test_images_are_chosen_by_name(capsys):
    rows = read("github", capsys, "pytorch-cpu-dlc", "ensemble-cpu")["jobs"]["image"]["strategy"]["matrix"]
    assert [row["image"] for row in rows["include"]] == ["pytorch-cpu-dlc", "ensemble-cpu"]
    assert rows["include"][0]["large"] is True


def test_what_is_on_no_public_index_is_fetched_also_for_an_image_below(capsys):
    rows = read("github", capsys)["jobs"]["image"]["strategy"]["matrix"]["include"]
    wheels = {row["image"]: row["wheels"] for row in rows}
    assert wheels["ensemble-cpu"] == ""
    assert wheels["pytorch-cpu"] == wheels["torchserve-pytorch-cpu"] != ""
    assert "+cpu" in wheels["pytorch-cpu"]


def test_a_pull_request_gets_no_credentials(capsys):
    document = read("github", capsys)
    assert document["permissions"] == {"contents": "read"}
    guarded = [
        step
        for step in document["jobs"]["image"]["steps"]
        if "aws-actions" in step.get("uses", "") or "push" in step.get("run", "")
    ]
    assert len(guarded) == 2
    assert all("github.event_name != 'pull_request'" in step["if"] for step in guarded)


def test_actions_are_pinned_by_their_commit(capsys):
    steps = read("github", capsys)["jobs"]["image"]["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name) for name in used)


@pytest.mark.parametrize("kind", pipelines.PIPELINES)
def test_every_command_and_target_is_there(kind, capsys):
    known = next(action.choices for action in build_parser()._actions if action.choices)
    targets = re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    text = "\n".join(commands(kind, capsys))
    for command in re.findall(r"\./build\.py (\S+)", text):
        assert command in known
    for target in re.findall(r'\bmake "?([\w$-]+)', text):
        assert re.sub(r"\$\w+", "%", target) in targets


@pytest.mark.parametrize("kind", pipelines.PIPELINES)
def test_a_written_file_says_how_to_make_it_anew(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pipelines.write, "__defaults__", (tmp_path,))
    assert main(["ci", kind, "ensemble-cpu", "--write"]) == 0
    path = tmp_path / pipelines.PIPELINES[kind].path
    assert f"Wrote {path}" in capsys.readouterr().out
    text = path.read_text()
    assert f"`./build.py ci {kind} ensemble-cpu --write`" in text.splitlines()[0]
    assert main(["ci", kind, "ensemble-cpu"]) == 0
    assert capsys.readouterr().out == text


def play(spec, variables, directory):
    """The phases in one shell, as CodeBuild runs them with `on-failure: ABORT`; the calls that were made."""
    (directory / "bin").mkdir()
    for name in ("bin/make", "bin/python3", "build.py"):
        (directory / name).write_text(RECORD)
        (directory / name).chmod(0o755)
    environment = {"PATH": f"{directory}/bin:/usr/bin:/bin", "TORCH_INDEX": "https://wheels", **variables}
    shell = Shell(directory, environment, LogStream())
    try:
        for name in ("install", "pre_build", "build", "post_build"):
            phase = spec["phases"].get(name, {})
            failed = any(shell.run(command) for command in phase.get("commands", []))
            if failed and phase["on-failure"] == "ABORT":
                break
    finally:
        shell.kill()
    return (directory / "calls").read_text().splitlines()


@pytest.mark.parametrize("name", ["ensemble-cpu", "pytorch-cpu"])
def test_a_build_of_the_pipeline_tests_before_it_pushes(name, capsys, tmp_path):
    spec = read("codepipeline", capsys)
    (row,) = (row for row in spec["batch"]["build-list"] if row["env"]["variables"]["IMAGE"] == name)
    calls = play(spec, row["env"]["variables"], tmp_path)
    words = [call.partition(" IMAGE=")[0] for call in calls if not call.startswith("python3")]
    assert words == ["make setup", f"make test-{name}", f"build.py push {name} --write image-uri.txt"]
    downloads = [call for call in calls if "pip download" in call]
    assert len(downloads) == (name == "pytorch-cpu")
    assert calls[-1].endswith("WHEELHOUSE=wheels" if downloads else "WHEELHOUSE=")


def test_an_image_that_fails_its_tests_is_not_pushed(capsys, tmp_path):
    spec = read("codepipeline", capsys)
    spec["phases"]["build"]["commands"] = ["make test; false"]
    calls = play(spec, spec["batch"]["build-list"][1]["env"]["variables"], tmp_path)
    assert not [call for call in calls if "push" in call]


def test_the_templates_are_there_for_every_kind():
    folder = Path(pipelines.__file__).parent.parent / "data" / "ci"
    assert {path.stem for path in folder.iterdir()} == set(pipelines.PIPELINES)
