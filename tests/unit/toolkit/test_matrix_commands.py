"""`list`, `graph`, `plan`, `explain`, `generate`, `bump`: what they say of the matrix."""

from __future__ import annotations

import json
import tomllib
from datetime import date

import pytest

from toolkit.building import bump, generated, images
from toolkit.building.digests import Pin
from toolkit.building.schema import Family
from toolkit.building.sources import Sources
from toolkit.cli import main
from toolkit.errors import ToolkitError
from toolkit.machine import docker

MATRIX = images.matrix()
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def no_region(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def answer(capsys, *arguments):
    assert main(list(arguments)) == 0
    return json.loads(capsys.readouterr().out)


def refusal(capsys, *arguments):
    assert main(list(arguments)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) == 2  # the cause, and what helps
    return "\n".join(lines)


def test_generated_files_are_up_to_date():
    for path, text in generated.generate(MATRIX).items():
        assert path.read_text() == text, f"{images.shown(path)} is out of date: {generated.COMMAND}"


def test_generate_says_and_mends_what_is_out_of_date(tmp_path, monkeypatch, capsys):
    path = tmp_path / "image.schema.json"
    monkeypatch.setattr(generated, "SCHEMA", path)
    assert main(["generate", "--check"]) == 1
    assert f"{path} is out of date: ./build.py generate" in capsys.readouterr().out
    assert not path.exists()
    assert main(["generate"]) == 0
    assert main(["generate", "--check"]) == 0


def test_the_schema_describes_every_key_and_knows_no_other():
    schema = json.loads(generated.schema_text())
    tables = [schema, *schema["$defs"].values()]
    assert {"Variant", "OperatingSystem", "DeepLearningContainer"} <= set(schema["$defs"])
    for table in tables:
        assert table["additionalProperties"] is False
        undescribed = [key for key, value in table["properties"].items() if not value.get("description")]
        assert undescribed == []


def test_every_declaration_names_the_schema_for_editors():
    for path in [*images.CONTAINERS.glob("*/image.toml"), *images.CONTAINERS.glob("*/image.template.toml")]:
        text = path.read_text()
        assert text.startswith(f"#:schema ../{generated.SCHEMA.name}\n"), path
        Family.model_validate(tomllib.loads(text))


def test_the_graph_holds_each_image_once(capsys):
    above = answer(capsys, "graph", "--json")
    assert set(above) == set(MATRIX)
    children = [name for names in above.values() for name in names]
    assert sorted(children) == sorted(name for name, image in MATRIX.items() if image.variant.base)
    assert main(["graph"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(MATRIX)
    assert "│  └─ mms-ensemble-cpu" in lines


def test_a_plan_says_from_and_to_what_in_which_order_and_why(capsys):
    steps = answer(capsys, "plan", "pytorch-cpu", "--base", "dlc", "--region", "eu-west-1", "--json")["plan"]
    assert [step["name"] for step in steps] == ["dlc-pytorch-cpu", "pytorch-cpu-dlc"]
    assert [step["reason"] for step in steps] == ["pytorch-cpu-dlc is built on it", "asked for"]
    host = "763104351884.dkr.ecr.eu-west-1.amazonaws.com"
    assert steps[0]["from"] == f"{host}/pytorch:2.13-cpu-amzn2023-sagemaker"
    assert steps[1]["from"] == "dlc-pytorch-cpu"
    assert steps[1]["image"] == MATRIX["pytorch-cpu-dlc"].reference


def test_a_plan_of_all_names_no_region_and_leaves_out_bases_that_nothing_stands_on(capsys):
    names = [step["name"] for step in answer(capsys, "plan", "--json")["plan"]]
    used = {base for image in MATRIX.values() for base in image.bases}
    assert set(names) == {name for name, image in MATRIX.items() if image.variant.base} | used


def test_what_nobody_mends_any_more_is_told_wherever_an_image_is_named(capsys):
    steps = answer(capsys, "plan", "torchserve-pytorch-cpu", "--json")["plan"]
    assert [step["name"] for step in steps if step["end_of_life"]] == ["torchserve-pytorch-cpu"]
    told = steps[-1]["end_of_life"]
    assert answer(capsys, "explain", "torchserve-pytorch-cpu", "--json")["end_of_life"] == told
    for command in ("plan", "explain"):
        assert main([command, "torchserve-pytorch-cpu"]) == 0
        [line] = [line for line in capsys.readouterr().out.splitlines() if told in line]
        assert len(line) <= 80


def test_the_dry_run_of_a_build_is_its_plan(capsys):
    assert answer(capsys, "build", "ensemble-cpu", "--dry-run", "--json") == answer(
        capsys, "plan", "ensemble-cpu", "--json"
    )


def test_an_image_is_explained_from_its_declaration_to_its_host(capsys):
    facts = answer(capsys, "explain", "dlc-pytorch-gpu", "--json")
    path, _, line = facts["declared"].partition(":")
    declaration = (images.ROOT / path).read_text().splitlines()[int(line) - 1]
    assert declaration == "[variants.pytorch-gpu]"
    assert facts["inference_ami_version"] == "al2023-ami-sagemaker-inference-gpu-4-1"
    assert facts["bases"] == []
    lock = answer(capsys, "explain", "autogluon-cpu", "--base", "dlc", "--json")["lock"]
    assert lock["file"] == "containers/autogluon/requirements/cpu-dlc.txt"
    assert lock["brought_by_base"] > lock["packages"] / 2


@pytest.mark.parametrize("name", sorted(MATRIX))
def test_every_image_is_explained_in_lines_for_people(name, capsys):
    assert main(["explain", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == MATRIX[name].summary
    assert "None" not in "\n".join(lines)


def test_bad_input_is_a_line_and_what_helps(capsys):
    assert "Did you mean ensemble-cpu?" in refusal(capsys, "plan", "ensmble-cpu")
    assert "Did you mean eu-west-1?" in refusal(
        capsys, "build", "pytorch-cpu", "--base", "dlc", "--region", "eu-wst-1", "--dry-run"
    )
    assert "It has dlc and slim" in refusal(capsys, "explain", "ensemble-cpu", "--base", "alpine")
    assert "Name what it stands on: base-slim" in refusal(capsys, "bump", "ensemble-cpu")
    assert "Name the bases" in refusal(capsys, "bump", "--packages")


def test_a_bump_keeps_the_day_of_a_content_that_is_the_same(tmp_path, monkeypatch):
    base = MATRIX["dlc-pytorch-cpu"].model_copy(update={"folder": tmp_path})
    monkeypatch.setattr(docker, "manifest_digest", lambda reference: DIGEST)
    first, _ = bump.propose([base], Sources(), date(2026, 11, 21))
    assert first[0].pins == {"pytorch-cpu": Pin(images.tag_of(base.variant), DIGEST, date(2026, 11, 21))}
    bump.digests.write(tmp_path, first[0].pins)
    again, _ = bump.propose([base], Sources(), date(2026, 12, 1))
    assert again[0].diff() == ""
    monkeypatch.setattr(docker, "manifest_digest", lambda reference: DIGEST.replace("a", "b"))
    moved, _ = bump.propose([base], Sources(), date(2026, 12, 1))
    changed = [
        line for line in moved[0].diff().splitlines() if line[:1] in "+-" and line[:2] not in ("++", "--")
    ]
    assert [line.partition(" ")[0] for line in changed] == ["-digest", "-checked", "+digest", "+checked"]


def test_a_registry_without_an_answer_leaves_the_other_pins(tmp_path, monkeypatch):
    bases = [
        MATRIX[name].model_copy(update={"folder": tmp_path})
        for name in ("dlc-pytorch-cpu", "dlc-pytorch-gpu")
    ]

    def ask(reference):
        if "cu133" in reference:
            raise ToolkitError(f"{reference} gave no answer (not found).")
        return DIGEST

    monkeypatch.setattr(docker, "manifest_digest", ask)
    (proposal,), unanswered = bump.propose(bases, Sources(), date(2026, 11, 21))
    assert set(proposal.pins) == {"pytorch-cpu"}
    assert len(unanswered) == 1
    assert "dlc-pytorch-gpu" in unanswered[0]
