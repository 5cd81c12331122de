"""What can be said of an image without running it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pytest

INITS = {"tini", "tini-static", "dumb-init", "docker-init", "catatonit", "s6-svscan", "init"}
SHELL_FORM = ["/bin/sh", "-c"]


@pytest.mark.contract("TRAIN-03", "HOST-03")
def test_the_entrypoint_is_in_exec_form(facts: Mapping[str, Any]) -> None:
    assert (facts["Config"]["Entrypoint"] or [])[:2] != SHELL_FORM


@pytest.mark.contract("TRAIN-05", "HOST-07")
def test_the_entrypoint_is_no_init(facts: Mapping[str, Any]) -> None:
    programs = {PurePosixPath(word).name for word in (facts["Config"]["Entrypoint"] or [])[:1]}
    assert not programs & INITS


@pytest.mark.contract("TRAIN-12", "HOST-06")
def test_the_user_is_root(facts: Mapping[str, Any]) -> None:
    assert facts["Config"]["User"].partition(":")[0] in {"", "0", "root"}


@pytest.mark.contract("IMG-06", "IMG-08")
def test_the_platform_is_linux_amd64(facts: Mapping[str, Any]) -> None:
    assert (facts["Os"], facts["Architecture"]) == ("linux", "amd64")


@pytest.mark.contract("IMG-19")
def test_there_is_no_healthcheck_and_no_volume(facts: Mapping[str, Any]) -> None:
    assert not facts["Config"].get("Healthcheck")
    assert not facts["Config"].get("Volumes")


@pytest.mark.contract("IMG-17", "PIPE-03")
def test_a_label_says_that_the_port_can_be_chosen(facts: Mapping[str, Any]) -> None:
    labels = facts["Config"]["Labels"] or {}
    assert labels.get("com.amazonaws.sagemaker.capabilities.accept-bind-to-port") == "true"


@pytest.mark.contract("TRAIN-14")
def test_the_environment_does_not_hide_the_gpus(facts: Mapping[str, Any]) -> None:
    environment = dict(entry.partition("=")[::2] for entry in facts["Config"]["Env"] or [])
    assert environment.get("NVIDIA_VISIBLE_DEVICES", "all") not in {"", "none", "void"}


@pytest.mark.contract("AG-12")
def test_the_image_names_no_program(facts: Mapping[str, Any]) -> None:
    # `train` and `serve` would both read it.
    assert not [entry for entry in facts["Config"]["Env"] or [] if entry.startswith("SAGEMAKER_PROGRAM=")]


@pytest.mark.contract("TT-05", "V3-29")
def test_a_log_level_of_the_image_is_a_number(facts: Mapping[str, Any]) -> None:
    environment = dict(entry.partition("=")[::2] for entry in facts["Config"]["Env"] or [])
    levels = {name: environment.get(name, "20") for name in ("SM_LOG_LEVEL", "SAGEMAKER_CONTAINER_LOG_LEVEL")}
    assert [name for name, level in levels.items() if not level.isdigit()] == []
