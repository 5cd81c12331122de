"""`build.py sm-docker build` takes what `sm-docker build` takes, and asks no more of AWS."""

from __future__ import annotations

import json

import pytest

from tests.codebuild.account import USER, Use
from tests.codebuild.fake_aws import ACCOUNT, REGION
from toolkit.aws.regions import partition_of
from toolkit.codebuild import ecr, sm_docker, studio
from toolkit.codebuild.project import LONGEST_NAME
from toolkit.codebuild.studio import Studio
from toolkit.errors import ToolkitError

ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/execution"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DOMAIN = Studio("d-abcdefghijkl", "data-scientist", "")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY words.txt /\n")
    (folder / "Dockerfile.gpu").write_text("FROM scratch\n")
    (folder / "sub/Dockerfile").write_text("FROM scratch\n")
    (folder / "words.txt").write_text("one\n")
    (folder / ".dockerignore").write_text("sub\n")
    return folder


@pytest.mark.contract("CB-14")
@pytest.mark.parametrize("option", [["-f", "{}"], ["--file", "{}"], ["--file={}"], ["-f{}"], ["-f={}"]])
def test_a_dockerfile_outside_of_the_folder_is_refused_in_every_spelling(folder, option):
    (folder.parent / "Dockerfile").write_text("FROM scratch\n")
    words = [word.format("../Dockerfile") for word in option]
    with pytest.raises(ToolkitError, match=r"-f \.\./Dockerfile lies outside of"):
        sm_docker.read_arguments(folder, [".", *words])
    inside = [word.format("Dockerfile.gpu") for word in option]
    assert sm_docker.read_arguments(folder, [".", *inside]).dockerfile == "Dockerfile.gpu"


def test_a_folder_without_a_dockerfile_is_told_before_anything_is_sent(folder):
    (folder / "Dockerfile").unlink()
    with pytest.raises(ToolkitError, match="there is no Dockerfile in"):
        sm_docker.read_arguments(folder, ["."])


def test_the_context_is_found_among_the_arguments(folder):
    build = sm_docker.read_arguments(folder, ["--build-arg", "a=b", "sub"])
    assert (build.context, build.dockerfile) == ("sub", "sub/Dockerfile")
    assert "sub/Dockerfile" in build.names(), "the ignore file of the folder is not that of the context"
    assert "sub/Dockerfile" not in sm_docker.read_arguments(folder, ["."]).names()
    assert sm_docker.read_arguments(folder, []).arguments == ["."]


@pytest.mark.contract("CB-10", "CB-13", "CB-31", "CB-32")
def test_docker_is_logged_in_where_bases_come_from_and_again_before_the_push(folder):
    (folder / "Dockerfile").write_text(
        "ARG REGION=eu-west-1\nARG ACCOUNT\n"
        "FROM 763104351884.dkr.ecr.${REGION}.amazonaws.com/pytorch-training:2.13 AS one\n"
        "FROM ${ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/base AS two\n"
        "FROM 111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/base AS three\n"
        "FROM 222222222222.dkr.ecr.$NOBODY.amazonaws.com/base\n"
    )
    build = sm_docker.read_arguments(folder, [".", "--build-arg", "ACCOUNT=333333333333"])
    phases = json.loads(sm_docker.make_buildspec(build, HOST, "name", "1"))["phases"]
    hosts = [
        HOST,
        "763104351884.dkr.ecr.eu-west-1.amazonaws.com",
        "333333333333.dkr.ecr.us-east-1.amazonaws.com",
        "111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn",
    ]
    logins = phases["pre_build"]["commands"]
    assert [command.split()[-1] for command in logins] == hosts
    assert all("--password-stdin" in command for command in logins)
    assert "--region eu-west-1" in logins[1]
    assert phases["post_build"]["commands"][:2] == [logins[0], f"docker push {HOST}/name:1"]
    assert phases["build"]["commands"][0] == "export BUILDX_NO_DEFAULT_ATTESTATIONS=1"
    assert {phase["on-failure"] for phase in phases.values()} == {"ABORT"}


@pytest.mark.contract("CB-04")
def test_a_repository_needs_no_tag():
    assert sm_docker.split_repository("name", None) == ("name", "latest")
    assert sm_docker.split_repository("team/name:1.0", None) == ("team/name", "1.0")
    assert sm_docker.split_repository(None, None) == ("sagemaker-studio", "latest")
    assert sm_docker.split_repository(None, DOMAIN) == ("sagemaker-studio-d-abcdefghijkl", "data-scientist")
    with pytest.raises(ToolkitError, match="not NAME or NAME:TAG"):
        sm_docker.split_repository("name:1:3", None)


@pytest.mark.contract("CB-03")
def test_names_of_projects_are_never_too_long_and_never_the_same():
    long = Studio("d-abcdefghijkl", "u" * 200, "")
    names = [sm_docker.project_name(long) for _ in range(2)]
    assert [len(name) for name in names] == [LONGEST_NAME] * 2
    assert names[0] != names[1]
    assert sm_docker.project_name(DOMAIN).startswith("sagemaker-studio-d-abcdefghijkl-data-scientist-")
    assert sm_docker.project_name(None).startswith("sagemaker-studio-image-build-")


@pytest.mark.contract("CB-13")
def test_china_has_a_domain_of_its_own():
    host = ecr.host_of(ACCOUNT, "cn-north-1", partition_of("cn-north-1"))
    assert host == f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn"


def describe(tmp_path, **facts):
    path = tmp_path / "resource-metadata.json"
    path.write_text(json.dumps({"AppType": "JupyterLab", **facts}))
    return path


def test_studio_is_found_by_its_metadata(tmp_path):
    assert studio.find(tmp_path / "none.json") is None
    assert studio.find(describe(tmp_path, ResourceName="a-notebook-instance")) is None
    found = studio.find(describe(tmp_path, DomainId="d-1", UserProfileName="me", ExecutionRoleArn=ROLE))
    assert found == Studio("d-1", "me", ROLE)


@pytest.mark.parametrize(
    ("here", "answers", "asked"),
    [
        (Studio("d-1", "me", ROLE), {}, []),
        (Studio("d-1", "me", ""), {"UserSettings": {"ExecutionRole": ROLE}}, ["DescribeUserProfile"]),
        (
            Studio("d-1", "me", ""),
            {"DefaultUserSettings": {"ExecutionRole": ROLE}},
            ["DescribeUserProfile", "DescribeDomain"],
        ),
        (Studio("d-1", "", ""), {"DefaultSpaceSettings": {"ExecutionRole": ROLE}}, ["DescribeDomain"]),
    ],
)
def test_the_execution_role_is_found_as_the_sdk_finds_it(account, aws, here, answers, asked):
    account.answers = {"DescribeUserProfile": answers, "DescribeDomain": answers}
    assert studio.find_role(aws, here) == ROLE
    assert [use.action for use in account.uses] == [f"sagemaker:{name}" for name in asked]


def test_outside_of_studio_the_caller_s_own_role_is_taken(account, aws):
    account.arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/opt-ml-codebuild/session"
    assert studio.find_role(aws, None) == f"arn:aws:iam::{ACCOUNT}:role/opt-ml-codebuild"
    account.arn = USER
    with pytest.raises(ToolkitError, match="is no role") as caught:
        studio.find_role(aws, None)
    assert "--role" in caught.value.cure


# What the readme of sagemaker-studio-image-build tells to give to a role, action to resources.
PUBLISHED = {
    "codebuild:CreateProject": "arn:aws:codebuild:*:*:project/sagemaker-studio*",
    "codebuild:DeleteProject": "arn:aws:codebuild:*:*:project/sagemaker-studio*",
    "codebuild:StartBuild": "arn:aws:codebuild:*:*:project/sagemaker-studio*",
    "codebuild:BatchGetBuilds": "arn:aws:codebuild:*:*:project/sagemaker-studio*",
    "logs:GetLogEvents": "arn:aws:logs:*:*:log-group:/aws/codebuild/sagemaker-studio*:log-stream:*",
    "ecr:CreateRepository": "arn:aws:ecr:*:*:repository/sagemaker-studio*",
    "ecr:DescribeRepositories": "arn:aws:ecr:*:*:repository/sagemaker-studio*",
    "s3:PutObject": "arn:aws:s3:::sagemaker-*/*",
    "s3:DeleteObject": "arn:aws:s3:::sagemaker-*/*",
    "s3:CreateBucket": "arn:aws:s3:::sagemaker*",
    "iam:GetRole": "*",
    "iam:PassRole": "arn:aws:iam::*:role/*",
}


@pytest.fixture
def published(account, aws):
    """The caller has that policy and no other."""
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in PUBLISHED.items()
    ]
    account.policies = {USER: [{"Statement": statements}]}
    return account


@pytest.mark.contract("CB-06")
def test_a_role_that_was_made_for_sm_docker_is_enough(
    published, runner, aws, fake, folder, monkeypatch, capsys
):
    from toolkit import cli

    monkeypatch.chdir(folder)
    runner.prepare = lambda directory: programs(directory, runner)
    aws.client("s3").create_bucket(
        Bucket=f"sagemaker-{REGION}-{ACCOUNT}", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    arguments = ["--role", "opt-ml-codebuild", "--build-arg", "A=two words", "-f", "Dockerfile"]
    assert cli.main(["sm-docker", "build", ".", *arguments]) == 0
    out = capsys.readouterr()
    assert out.out.splitlines()[-1] == f"image_uri  {HOST}/sagemaker-studio:latest"
    asked = [line for line in out.out.splitlines() if line.startswith(("docker", "aws"))]
    assert asked == [
        f"docker <login> <--username> <AWS> <--password-stdin> <{HOST}>",
        f"docker <build> <--tag> <{HOST}/sagemaker-studio:latest> <.> <--build-arg> <A=two words> "
        "<-f> <Dockerfile>",
        f"docker <login> <--username> <AWS> <--password-stdin> <{HOST}>",
        f"docker <push> <{HOST}/sagemaker-studio:latest>",
    ]
    assert fake.projects == {}
    used = {use.action for use in published.uses}
    assert used <= {*PUBLISHED, "s3:ListBucket"}, "and without the last it goes, too"
    assert Use("ecr:CreateRepository", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/sagemaker-studio") in (
        published.uses
    )


def programs(directory, runner):
    """`docker` and `aws` that say what they are asked for."""
    place = directory / ".programs"
    place.mkdir()
    for name in ("docker", "aws"):
        say = "echo password" if name == "aws" else f"printf '{name}'; printf ' <%s>' \"$@\"; echo"
        (place / name).write_text(f"#!/bin/sh\n{say}\n")
        (place / name).chmod(0o755)
    runner.environment["PATH"] = f"{place}:{runner.environment['PATH']}"
