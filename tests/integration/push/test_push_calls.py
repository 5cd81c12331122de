"""Who may pull, what is refused, and what is said when a push cannot be."""

from __future__ import annotations

import json
import subprocess
import tempfile

import boto3
import pytest

from tests.ecr import ACCOUNT
from tests.integration.push.pushing import (
    FOUND,
    IMAGE,
    REGION,
    push,
)


def test_others_may_pull_when_they_are_named(image, aws, capsys):
    assert push(capsys, image, "--allow-account", "111111111111", "--allow-sagemaker")[0] == 0
    policy = json.loads(policy_of(aws))
    assert [statement["Principal"] for statement in policy["Statement"]] == [
        {"AWS": ["arn:aws:iam::111111111111:root"]},
        {"Service": "sagemaker.amazonaws.com"},
    ]


def policy_of(aws):
    client = boto3.client("ecr", endpoint_url=aws.endpoint, region_name=REGION)
    return client.get_repository_policy(repositoryName=FOUND)["policyText"]


def test_a_missing_permission_is_named(image, aws, capsys):
    aws.denied.add("CreateRepository")
    code, _, said = push(capsys, image)
    assert code == 2
    assert f"the permission ecr:CreateRepository is missing in {REGION}" in said
    assert "./build.py iam" in said


def test_a_repository_without_a_lifecycle_takes_images_all_the_same(image, aws, capsys):
    aws.denied.add("PutLifecyclePolicy")
    code, _, said = push(capsys, image)
    assert code == 0
    assert "without a lifecycle policy: the permission ecr:PutLifecyclePolicy is missing" in said


def test_a_repository_of_another_account_is_not_made(image, aws, capsys):
    code, _, said = push(capsys, image, "--account", "999999999999")
    assert code == 2
    assert "account 999999999999 has no repository sagemaker/pushed" in said
    assert push(capsys, image)[0] == 0
    assert push(capsys, image, "--account", ACCOUNT)[0] == 0


def test_a_full_disk_is_told_with_the_size_that_did_not_fit(image, aws, tmp_path, capsys, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(small))
    try:
        code, _, said = push(capsys, image)
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert code == 1
    assert "the disk is full: a layer of 3 MB did not fit" in said
    assert "TMPDIR=DIR" in said


def test_without_credentials_nothing_is_built_or_pushed(aws, capsys, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    code, _, said = push(capsys, "ensemble-cpu")
    assert code == 2
    assert "no AWS credentials" in said
    assert aws.calls == []


def test_a_wrong_repository_is_told_before_anything_is_built_or_asked(aws, capsys):
    code, _, said = push(capsys, "ensemble-cpu", "--repository", "Team/Model")
    assert code == 2
    assert "'Team/Model' cannot be" in said
    assert aws.calls == []


@pytest.mark.parametrize(
    ("arguments", "said", "cure"),
    [
        (["ensembel-cpu"], "no image called 'ensembel-cpu'", "Did you mean ensemble-cpu?"),
        (["nobody/made:it"], "there is no image nobody/made:it", "docker pull nobody/made:it"),
        ([IMAGE, "--region", "eu-wst-1"], "no region called 'eu-wst-1'", "Did you mean eu-west-1?"),
        ([IMAGE, "--repository", "Team/Model"], "'Team/Model' cannot be", "--repository team/model"),
        ([IMAGE, "--tag", "a b"], "'a b' cannot be a tag", "--tag"),
        ([IMAGE, "--account", "12"], "'12' is not an AWS account", "aws sts"),
        ([IMAGE, IMAGE, "--repository", "one"], "2 images would share", "NAME/{image}"),
        ([IMAGE, "--registry", "localhost:1", "--region", REGION], "--registry is not ECR", "Leave one"),
    ],
)
def test_a_wrong_call_is_a_cause_and_a_cure(image, aws, capsys, arguments, said, cure):
    code, _, shown = push(capsys, *arguments)
    first, second = shown.splitlines()
    assert code == 2
    assert said in first
    assert cure in second


def test_a_dry_run_tells_repositories_and_tags_and_asks_nobody(image, aws, capsys):
    code, out, _ = push(capsys, image, "--dry-run", "--repository", "team/{image}:v1")
    assert code == 0
    assert "team/pushed:v1\n" in out
    assert aws.calls == []
