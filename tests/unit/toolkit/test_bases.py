"""Bases: where they are pulled from, on which of them an image can be built, and what a digest pins."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import botocore
import pytest
from moto import mock_aws

from toolkit.building import bake, digests, dlc_layer, host_amis, images
from toolkit.building.bake import Surroundings
from toolkit.building.plan import make_plan
from toolkit.building.sources import Sources, from_environment, private_registry
from toolkit.building.toml_lines import line_of
from toolkit.errors import ToolkitError
from toolkit.machine import docker

MATRIX = images.matrix()
PYTORCH = MATRIX["dlc-pytorch-cpu"].variant
SKLEARN = MATRIX["dlc-sklearn-cpu"].variant
TAG = "pytorch:2.13-cpu-amzn2023-sagemaker"
DIGEST = "sha256:" + "5" * 64


@pytest.mark.parametrize(
    ("sources", "reference"),
    [
        (Sources(), f"public.ecr.aws/deep-learning-containers/{TAG}"),
        (Sources(region="eu-west-1"), f"763104351884.dkr.ecr.eu-west-1.amazonaws.com/{TAG}"),
        (Sources(region="cn-north-1"), f"727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/{TAG}"),
        (Sources(region="us-gov-west-1"), f"442386744353.dkr.ecr.us-gov-west-1.amazonaws.com/{TAG}"),
        (Sources(region="us-iso-east-1"), f"886529160074.dkr.ecr.us-iso-east-1.c2s.ic.gov/{TAG}"),
        (Sources(region="eu-west-1", registry="mirror.local:5000/dlc"), f"mirror.local:5000/dlc/{TAG}"),
    ],
)
@pytest.mark.contract("IMG-18")
def test_a_base_is_pulled_from_the_regions_registry_or_the_gallery_or_a_mirror(sources, reference):
    assert sources.reference(PYTORCH) == reference
    assert sources.reference(PYTORCH, DIGEST) == f"{reference}@{DIGEST}"


def test_a_mirror_holds_what_docker_hub_holds_under_the_hubs_full_name():
    slim = MATRIX["base-slim"].variant
    assert Sources().reference(slim) == "debian:bookworm-slim"
    assert Sources(registry="mirror.local").reference(slim) == "mirror.local/library/debian:bookworm-slim"


def test_what_the_gallery_does_not_hold_needs_a_region():
    with pytest.raises(ToolkitError, match=r"sagemaker-scikit-learn:1\.9-0 is in AWS's registry") as caught:
        Sources().reference(SKLEARN)
    assert "AWS_REGION" in caught.value.cure


def test_an_unknown_region_is_answered_with_the_nearest():
    with pytest.raises(ToolkitError, match="'eu-wst-1'") as caught:
        private_registry("deep-learning-containers", "eu-wst-1")
    assert "Did you mean eu-west-1?" in caught.value.cure


def test_the_region_is_that_of_the_aws_variables():
    both = {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-west-2"}
    assert from_environment(both).region == "eu-west-2"
    assert from_environment({"AWS_DEFAULT_REGION": "eu-west-1"}).region == "eu-west-1"
    assert from_environment({"AWS_REGION": ""}).region is None


@pytest.mark.parametrize("group", ["deep-learning-containers", "sagemaker-algorithms"])
def test_hosts_end_as_botocore_says_in_every_region_of_every_partition(group):
    data = json.loads((Path(botocore.__file__).parent / "data" / "endpoints.json").read_text())
    known = 0
    for partition in data["partitions"]:
        for region in partition["regions"]:
            try:
                host = private_registry(group, region)
            except ToolkitError:
                continue
            known += 1
            account, _, rest = host.partition(".")
            assert account.isdigit()
            assert len(account) == 12
            assert rest == f"dkr.ecr.{region}.{partition['dnsSuffix']}"
    assert known >= 36


def test_an_image_goes_to_its_sister_on_another_kind_of_base_and_back():
    slim, dlc = MATRIX["autogluon-cpu"], MATRIX["autogluon-cpu-dlc"]
    assert images.on_base(slim, "dlc", MATRIX) == dlc
    assert images.on_base(dlc, "slim", MATRIX) == slim
    assert images.on_base(dlc, "dlc", MATRIX) == dlc
    assert (slim.base_kind, slim.python, slim.lock) == ("slim", "3.11", "cpu")
    assert (dlc.base_kind, dlc.python, dlc.lock) == ("dlc", "3.12", "cpu-dlc")


def test_a_base_may_be_named_where_its_python_is_the_locks():
    moved = images.on_base(MATRIX["autogluon-cpu"], "dlc-autogluon15-cpu", MATRIX)
    assert (moved.name, moved.variant.base) == ("autogluon-cpu-dlc", "dlc-autogluon15-cpu")
    assert moved.lowest == MATRIX["dlc-autogluon15-cpu"].variant


@pytest.mark.parametrize("base", ["alpine", "ensemble-cpu"])
def test_a_base_that_the_family_does_not_declare_is_refused_with_the_line_to_write(base):
    with pytest.raises(ToolkitError, match=f"not declared for the base '{base}'") as caught:
        images.on_base(MATRIX["autogluon-cpu"], base, MATRIX)
    assert "It has dlc and slim" in caught.value.cure


def test_an_expired_deep_learning_container_is_refused_with_the_line_to_write():
    moved = images.on_base(MATRIX["autogluon-cpu"], "dlc-autogluon15-cpu", MATRIX)
    with pytest.raises(ToolkitError, match="dlc-autogluon15-cpu ended on 2026-01-29") as caught:
        make_plan([moved.name], {**MATRIX, moved.name: moved})
    assert "containers/dlc/image.toml: [variants.autogluon15-cpu] acknowledged" in caught.value.cure


def test_the_same_dockerfile_is_built_on_both_kinds_of_base():
    made = bake.make_definition(make_plan(["autogluon-cpu", "autogluon-cpu-dlc"], MATRIX), Surroundings())
    slim, dlc = made["target"]["autogluon-cpu"], made["target"]["autogluon-cpu-dlc"]
    assert slim["context"] == dlc["context"]
    assert (slim["args"]["REQUIREMENTS"], dlc["args"]["REQUIREMENTS"]) == ("cpu", "cpu-dlc")
    assert dlc["contexts"]["base"] == "target:dlc-autogluon-cpu"
    below = made["target"]["dlc-autogluon-cpu"]["contexts"]["dlc"]
    assert below == "docker-image://public.ecr.aws/deep-learning-containers/autogluon:1.6-cpu-amzn2023"


def test_a_pin_is_read_back_and_counts_for_its_tag_alone(tmp_path):
    pin = digests.Pin(tag=TAG, digest=DIGEST, checked=date(2026, 11, 21))
    digests.write(tmp_path, {"cpu": pin})
    assert digests.read(tmp_path) == {"cpu": pin}
    assert digests.read(tmp_path / "elsewhere") == {}
    (tmp_path / "containers" / "dlc").mkdir(parents=True)
    folder = tmp_path / "containers" / "dlc"
    text = (images.CONTAINERS / "dlc" / "image.toml").read_text()
    (folder / "image.toml").write_text(text)
    other = digests.Pin(tag="pytorch:2.12", digest=DIGEST, checked=pin.checked)
    digests.write(folder, {"pytorch-cpu": pin, "pytorch-gpu": other})
    matrix = images.load(folder.parent)
    assert matrix["dlc-pytorch-cpu"].digest == DIGEST
    assert matrix["dlc-pytorch-gpu"].digest is None


@pytest.mark.parametrize(
    ("cuda", "ami"),
    [
        ("12.2", "al2-ami-sagemaker-inference-gpu-2-1"),
        ("12.9", "al2-ami-sagemaker-inference-gpu-2-1"),
        ("13.3", "al2023-ami-sagemaker-inference-gpu-4-1"),
        ("14.0", None),
    ],
)
def test_an_endpoints_host_has_a_driver_of_the_images_cuda(cuda, ami):
    assert host_amis.realtime(cuda) == ami


def test_cuda_is_that_of_the_base_where_the_image_says_none():
    assert MATRIX["dlc-pytorch-gpu"].cuda == "13.3"
    assert MATRIX["ensemble-cpu"].cuda is None


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("variants", "cpu", "base"), 4),
        (("variants", "cpu", "os", "image"), 6),
        (("variants", "cpu", "os", "release"), 5),
        (("labels", "a.b"), 8),
        (("labels",), 7),
        (("summary",), 1),
        (("nothing",), 1),
    ],
)
def test_a_key_is_found_on_its_line_or_that_of_the_table_above(path, line):
    text = 'summary = "[labels]"\n# [variants]\n[variants.cpu]\nbase = "b"\n[variants.cpu.os]\n'
    text += 'image = "i"\n[labels]\n"a.b" = "c"\n'
    assert line_of(text, path) == line


def test_the_login_to_a_private_registry_is_awss_and_fresh_once(monkeypatch):
    said = []
    monkeypatch.setattr(docker, "log_in", lambda host, *who: said.append((host, *who)))
    monkeypatch.setattr(dlc_layer, "_signed_in", set())
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    reference = Sources(region="eu-west-1").reference(PYTORCH)
    with mock_aws():
        dlc_layer.log_in(reference)
        dlc_layer.log_in(reference)
    ((host, username, password),) = said
    assert host == "763104351884.dkr.ecr.eu-west-1.amazonaws.com"
    assert username == "AWS"
    assert password


@pytest.mark.parametrize("registry", [None, "mirror.local:5000", "127.0.0.1:5000/dlc"])
def test_other_registries_are_left_to_what_docker_login_has_stored(registry, monkeypatch):
    monkeypatch.setattr(docker, "log_in", lambda *_: pytest.fail("signed in"))
    dlc_layer.log_in(Sources(registry=registry).reference(PYTORCH))


def test_missing_credentials_are_told_before_a_pull(monkeypatch):
    monkeypatch.setattr(dlc_layer, "_signed_in", set())
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ToolkitError, match="credentials"):
        dlc_layer.log_in(Sources(region="eu-west-1").reference(PYTORCH))
