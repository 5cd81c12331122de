"""The project that the options make: as CodeBuild takes it, and named by what it is."""

from __future__ import annotations

import argparse

import botocore.session
import pytest
from botocore.validate import ParamValidator

from tests.codebuild.fake_aws import ACCOUNT, REGION
from toolkit.codebuild import project
from toolkit.codebuild.arguments import add_project_arguments, settings_of
from toolkit.errors import ToolkitError


@pytest.fixture
def defined(aws):
    """The definition that options make."""

    def define(*options, platform="linux/amd64"):
        parser = argparse.ArgumentParser()
        add_project_arguments(parser)
        return project.define(settings_of(parser.parse_args(options), aws, platform, project.LOG_GROUP))

    return define


VPC = ("--vpc-id", "vpc-1", "--subnet-ids", "subnet-1, subnet-2", "--security-group-ids", "sg-1")
FLEET = f"arn:aws:codebuild:{REGION}:{ACCOUNT}:fleet/one:1"


@pytest.mark.parametrize(
    "options",
    [
        (),
        VPC,
        ("--fleet", FLEET),
        (*VPC, "--docker-server", "BUILD_GENERAL1_LARGE"),
        ("--environment", "A=b=c", "--secret", "PIP_INDEX_URL=index", "--parameter", "B=/a/b"),
        ("--build-image", f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/builder:1", "--timeout", "2160"),
    ],
)
def test_every_definition_is_one_that_codebuild_takes(defined, options):
    operation = botocore.session.get_session().get_service_model("codebuild").operation_model("CreateProject")
    request = {"name": "any", "source": {"type": "S3", "location": "bucket/key"}, **defined(*options)}
    report = ParamValidator().validate(request, operation.input_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.contract("CB-05", "CB-30")
def test_the_machine_is_of_the_platform_that_is_built(defined):
    machines = {
        platform: defined(platform=platform)["environment"] for platform in ("linux/amd64", "linux/arm64")
    }
    assert {platform: machine["type"] for platform, machine in machines.items()} == {
        "linux/amd64": "LINUX_CONTAINER",
        "linux/arm64": "ARM_CONTAINER",
    }
    assert "x86_64" in machines["linux/amd64"]["image"]
    assert "aarch64" in machines["linux/arm64"]["image"]
    assert {machine["privilegedMode"] for machine in machines.values()} == {True}


def test_a_private_build_image_is_pulled_with_the_role(defined):
    assert defined()["environment"]["imagePullCredentialsType"] == "CODEBUILD"
    own = defined("--build-image", f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/builder:1")
    assert own["environment"]["imagePullCredentialsType"] == "SERVICE_ROLE"


@pytest.mark.parametrize("options", [VPC, ("--compute-type", "BUILD_GENERAL1_2XLARGE")])
def test_layers_are_kept_on_the_machine_where_codebuild_can(defined, options):
    assert defined()["cache"]["modes"] == ["LOCAL_DOCKER_LAYER_CACHE"]
    assert defined(*options)["cache"] == {"type": "NO_CACHE"}


def test_a_network_is_whole_or_not_there(defined):
    assert defined(*VPC)["vpcConfig"]["subnets"] == ["subnet-1", "subnet-2"]
    with pytest.raises(ToolkitError, match="needs --subnet-ids and --security-group-ids, too"):
        defined("--vpc-id", "vpc-1")


@pytest.mark.contract("CB-33")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--timeout", "4"), "--timeout 4: CodeBuild takes 5 to 2160 minutes"),
        (("--timeout", "2161"), "CodeBuild takes 5 to 2160 minutes"),
        (("--queued-timeout", "481"), "CodeBuild takes 5 to 480 minutes"),
        (("--compute-type", "large"), "--compute-type large: "),
        (("--environment", "A"), "--environment A: this is not NAME=VALUE"),
    ],
)
def test_what_codebuild_would_refuse_is_refused_here(defined, options, message):
    with pytest.raises(ToolkitError, match=message):
        defined(*options)


def test_a_near_compute_type_is_proposed(defined):
    with pytest.raises(ToolkitError) as caught:
        defined("--compute-type", "build_general1_2xlarg")
    assert caught.value.cure == "Did you mean BUILD_GENERAL1_2XLARGE?"


def test_equal_settings_have_equal_names_and_others_have_others(defined):
    names = [project.kept_name(defined(*options)) for options in ((), (), VPC, ("--timeout", "30"))]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert all(name.startswith(project.PREFIX) and len(name) <= project.LONGEST_NAME for name in names)
