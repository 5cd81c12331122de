import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from toolkit.building import bake, images, schema
from toolkit.building.bake import Surroundings
from toolkit.building.plan import make_plan
from toolkit.building.sources import Sources
from toolkit.errors import ToolkitError

MATRIX = images.matrix()


def definition(names=("ensemble-cpu",), **surroundings):
    return bake.make_definition(make_plan(names, MATRIX), Surroundings(**surroundings))


def test_a_base_comes_before_what_stands_on_it_and_says_why():
    steps = make_plan(["ensemble-cpu"], MATRIX)
    assert [(step.image.name, step.reason) for step in steps] == [
        ("base-slim", "ensemble-cpu is built on it"),
        ("ensemble-cpu", "asked for"),
    ]


def test_each_image_is_planned_once():
    steps = make_plan(["ensemble-cpu", "base-slim", "ensemble-cpu"], MATRIX)
    assert [step.image.name for step in steps] == ["base-slim", "ensemble-cpu"]
    assert all(step.asked for step in steps)


def on_arm(name):
    image = MATRIX[name]
    return image.model_copy(update={"variant": image.variant.model_copy(update={"platform": "linux/arm64"})})


@pytest.mark.contract("IMG-06")
def test_an_image_for_arm_says_where_it_runs_and_has_an_operating_system_of_its_own():
    images_on_arm = {**MATRIX, **{name: on_arm(name) for name in ("base-slim", "ensemble-cpu")}}
    steps = make_plan(["ensemble-cpu"], images_on_arm)
    assert [step.note for step in steps] == [
        "",
        "ensemble-cpu is for endpoints on Graviton alone: jobs run on linux/amd64.",
    ]
    targets = bake.make_definition(steps, Surroundings())["target"]
    assert {target["platforms"][0] for target in targets.values()} == {"linux/arm64"}
    assert targets["base-slim"]["contexts"]["os"] == "docker-image://opt-ml/os:bookworm-arm64"


def acknowledged(until):
    base = MATRIX["base-slim"]
    said = schema.Acknowledgement(until=until, reason="the next one is being tested")
    variant = base.variant.model_copy(update={"acknowledged": said})
    return {**MATRIX, "base-slim": base.model_copy(update={"variant": variant})}


def test_a_base_whose_support_has_ended_is_refused_unless_that_is_acknowledged_for_the_day():
    end = MATRIX["base-slim"].variant.end_of_support
    after, later = end + timedelta(days=1), end + timedelta(days=30)
    assert make_plan(["ensemble-cpu"], MATRIX, end)
    with pytest.raises(ToolkitError, match=f"base-slim ended on {end}") as caught:
        make_plan(["ensemble-cpu"], MATRIX, after)
    assert "[variants.slim] acknowledged" in caught.value.cure
    assert make_plan(["ensemble-cpu"], acknowledged(later), later)
    with pytest.raises(ToolkitError, match=f"its acknowledgement on {after}"):
        make_plan(["ensemble-cpu"], acknowledged(after), later)


def test_the_end_of_support_is_told_beforehand_and_after_it_with_the_reason():
    end = MATRIX["base-slim"].variant.end_of_support
    assert [step.note for step in make_plan(["ensemble-cpu"], MATRIX, end - timedelta(days=60))] == ["", ""]
    soon = make_plan(["ensemble-cpu"], MATRIX, end - timedelta(days=59))
    assert [step.note for step in soon] == [f"The support of base-slim ends on {end}, in 59 days.", ""]
    until = end + timedelta(days=30)
    after = make_plan(["ensemble-cpu"], acknowledged(until), until)
    assert after[0].note.endswith(f"acknowledged until {until}: the next one is being tested")


@pytest.mark.contract("IMG-01", "IMG-02", "IMG-06")
def test_no_target_has_attestations_or_a_second_platform():
    for target in definition()["target"].values():
        assert target["attest"] == ["type=provenance,disabled=true", "type=sbom,disabled=true"]
        assert target["platforms"] == ["linux/amd64"]
        assert "annotations" not in target


@pytest.mark.contract("PIPE-03")
def test_labels_of_the_family_reach_the_image():
    labels = definition()["target"]["ensemble-cpu"]["labels"]
    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"


def test_the_end_of_life_of_an_engine_is_a_label_of_its_images_alone():
    targets = definition(["torchserve-pytorch-cpu"])["target"]
    marked = [name for name, target in targets.items() if bake.END_OF_LIFE_LABEL in target.get("labels", {})]
    assert marked == ["torchserve-pytorch-cpu"]


def test_the_ca_bundle_and_a_private_index_are_secrets_and_nothing_else():
    made = definition(ca_bundle=Path("/etc/company.pem"), index_variable="PIP_INDEX_URL")
    for target in made["target"].values():
        assert target["secret"] == ["id=ca,src=/etc/company.pem", "id=pip_index,env=PIP_INDEX_URL"]
        assert "/etc/company.pem" not in json.dumps({**target, "secret": []})


def test_the_wheelhouse_is_a_named_context_only_where_there_is_one():
    assert "wheelhouse" not in definition()["target"]["ensemble-cpu"]["contexts"]
    made = definition(wheelhouse=Path("/wheels"))
    assert made["target"]["ensemble-cpu"]["contexts"]["wheelhouse"] == "/wheels"


def test_weights_to_bake_in_are_a_named_context_only_where_there_are_some():
    assert "pretrained" not in definition()["target"]["ensemble-cpu"]["contexts"]
    made = definition(weights=Path("/weights"))
    assert made["target"]["ensemble-cpu"]["contexts"]["pretrained"] == "/weights"


def test_the_entrypoints_wheel_is_made_with_the_python_of_the_base():
    targets = definition()["target"]
    assert targets["ensemble-cpu"]["contexts"]["entrypoints"] == "target:entrypoints-base-slim"
    assert targets["entrypoints-base-slim"]["contexts"]["base"] == "target:base-slim"


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker client")
def test_buildx_understands_the_definition_of_every_image(tmp_path):
    bake_file = tmp_path / "docker-bake.json"
    names = [name for name, image in MATRIX.items() if image.variant.base]
    made = definition(names, wheelhouse=tmp_path, ca_bundle=bake_file, sources=Sources(region="eu-west-1"))
    bake_file.write_text(json.dumps(made))
    command = ["docker", "buildx", "bake", "--file", str(bake_file), "--print", *names]
    printed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    bases = {MATRIX[name].variant.base for name in names}
    wheels = {f"{stage}-{base}" for base in bases for stage in ("entrypoints", "wheel-builder")}
    # A second engine on an image has no wheels of its own.
    assert set(names) | bases <= set(printed["target"]) <= set(names) | bases | wheels


def test_every_folder_that_a_target_names_exists():
    made = definition([name for name, image in MATRIX.items() if image.base_kind == "slim"])
    for target in made["target"].values():
        assert (Path(target["context"]) / "Dockerfile").is_file()
        assert Path(target["contexts"]["shared"]).is_dir()
