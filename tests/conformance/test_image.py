"""What can be said of an image without running it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pytest

from toolkit.verify.layers import ImageFiles

INITS = {"tini", "tini-static", "dumb-init", "docker-init", "catatonit", "s6-svscan", "init"}
SHELL_FORM = ["/bin/sh", "-c"]
BIND_TO_PORT = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"


@pytest.mark.contract("TRAIN-03", "HOST-03")
def test_the_entrypoint_is_in_exec_form(facts: Mapping[str, Any]) -> None:
    entrypoint = facts["Config"]["Entrypoint"] or []
    assert entrypoint[:2] != SHELL_FORM, f"ENTRYPOINT is in shell form: {' '.join(entrypoint)}"


@pytest.mark.contract("TRAIN-05", "HOST-07")
def test_the_entrypoint_is_no_init(facts: Mapping[str, Any]) -> None:
    programs = {PurePosixPath(word).name for word in (facts["Config"]["Entrypoint"] or [])[:1]}
    assert not programs & INITS, f"ENTRYPOINT is {', '.join(programs)}"


@pytest.mark.contract("TRAIN-12", "HOST-06")
def test_the_user_is_root(facts: Mapping[str, Any]) -> None:
    user = facts["Config"]["User"]
    assert user.partition(":")[0] in {"", "0", "root"}, f"USER is {user}"


@pytest.mark.contract("IMG-06", "IMG-08")
def test_the_platform_is_linux_amd64(facts: Mapping[str, Any]) -> None:
    platform = f"{facts['Os']}/{facts['Architecture']}"
    assert platform == "linux/amd64", f"the image is for {platform}"


@pytest.mark.contract("IMG-19")
def test_there_is_no_healthcheck_and_no_volume(facts: Mapping[str, Any]) -> None:
    config = facts["Config"]
    assert not config.get("Healthcheck"), f"HEALTHCHECK {config['Healthcheck'].get('Test')}"
    assert not config.get("Volumes"), f"VOLUME {', '.join(config['Volumes'])}"


@pytest.mark.contract("IMG-17", "PIPE-03")
@pytest.mark.needs("pipeline")
def test_a_label_says_that_the_port_can_be_chosen(facts: Mapping[str, Any]) -> None:
    value = (facts["Config"]["Labels"] or {}).get(BIND_TO_PORT)
    assert value == "true", f"the label {BIND_TO_PORT} is {value or 'missing'}"


@pytest.mark.contract("TRAIN-14")
def test_the_environment_does_not_hide_the_gpus(facts: Mapping[str, Any]) -> None:
    value = environment(facts).get("NVIDIA_VISIBLE_DEVICES", "all")
    assert value not in {"", "none", "void"}, f"ENV NVIDIA_VISIBLE_DEVICES={value}"


@pytest.mark.contract("AG-12")
def test_the_image_names_no_program(facts: Mapping[str, Any]) -> None:
    # `train` and `serve` would both read it.
    program = environment(facts).get("SAGEMAKER_PROGRAM")
    assert program is None, f"ENV SAGEMAKER_PROGRAM={program}"


@pytest.mark.contract("IMG-20")
def test_python_writes_its_lines_at_once(facts: Mapping[str, Any], files: ImageFiles) -> None:
    if not files.program("python3"):
        pytest.skip("not claimed: there is no python3")
    assert environment(facts).get("PYTHONUNBUFFERED"), "no ENV PYTHONUNBUFFERED=1"


@pytest.mark.contract("TT-05", "V3-29")
def test_a_log_level_of_the_image_is_a_number(facts: Mapping[str, Any]) -> None:
    levels = {
        name: environment(facts).get(name, "20") for name in ("SM_LOG_LEVEL", "SAGEMAKER_CONTAINER_LOG_LEVEL")
    }
    wrong = [f"ENV {name}={level}" for name, level in levels.items() if not level.isdigit()]
    assert not wrong, ", ".join(wrong)


@pytest.mark.contract("IMG-01", "IMG-03", "IMG-04")
def test_its_manifest_in_the_registry_is_one_that_sagemaker_takes(facts: Mapping[str, Any]) -> None:
    digests = facts.get("RepoDigests") or []
    if not digests:
        pytest.skip("could not tell: the image is in no registry yet, and its manifest is made by the push")
    raw = subprocess.run(
        ["docker", "buildx", "imagetools", "inspect", "--raw", digests[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    if raw.returncode:
        pytest.skip(f"could not tell: the registry does not answer: {raw.stderr.strip().splitlines()[-1:]}")
    manifest = json.loads(raw.stdout)
    types = [manifest.get("mediaType", "none"), *(layer["mediaType"] for layer in manifest.get("layers", []))]
    refused = [kind for kind in types if ".oci." in kind or "zstd" in kind or kind == "none"]
    assert not refused, f"media type {refused[0]}"


def environment(facts: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the image."""
    return {entry.partition("=")[0]: entry.partition("=")[2] for entry in facts["Config"]["Env"] or []}
