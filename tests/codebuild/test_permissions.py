"""The policies that are printed allow every call that the code makes, and nothing more."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.codebuild.account import USER, Use, allows, unused
from tests.codebuild.fake_aws import ACCOUNT, REGION
from toolkit import cli
from toolkit.building.build_context import sent_files
from toolkit.codebuild import buildspec
from toolkit.codebuild.project import PREFIX, Settings
from toolkit.codebuild.remote_build import Listener, Order, run
from toolkit.errors import ToolkitError

ROLE = f"arn:aws:iam::{ACCOUNT}:role/opt-ml-codebuild"


@pytest.fixture
def build(runner, aws, folder, heard):
    """Run a build that does nothing; keywords are those of `Order`."""

    def run_build(listener=heard.listener, **changes):
        order = Order(
            root=folder,
            names=sent_files(folder),
            buildspec=buildspec.write({"build": ["true"]}),
            settings=Settings(ROLE),
            repositories=["sagemaker/tiny"],
        )
        return run(replace(order, **changes), aws, listener)

    return run_build


def interrupting(listener):
    """Ctrl-C comes when the phase BUILD begins, once."""
    notes = iter(["BUILD ..."])

    def on_note(note):
        if note == "BUILD ..." and next(notes, None):
            raise KeyboardInterrupt

    return Listener(listener.on_line, on_note)


def all_walks(build, heard):
    """Every way that a build can go, from the first one of an account on."""
    build()
    build()
    build(temporary=f"{PREFIX}temporary-1")
    with pytest.raises(KeyboardInterrupt):
        build(buildspec=buildspec.write({"build": ["sleep 60"]}), listener=interrupting(heard.listener))


@pytest.mark.contract("CB-21")
def test_the_policy_of_callers_allows_what_they_do_and_nothing_more(account, printed, build, heard):
    document = printed("caller")
    account.uses.clear()
    account.policies = {USER: [document], ROLE: [printed("build-role")]}
    all_walks(build, heard)
    account.arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/people/session"  # a caller may be a role, too
    build()
    assert unused(document, account.uses) == []


def test_a_caller_without_any_one_permission_is_told_so_before_anything_is_sent(
    account, printed, build, aws, heard
):
    document = printed("caller")
    needed = [
        (statement, action)
        for statement in document["Statement"]
        for action in statement["Action"]
        if not action.startswith("iam:") or action == "iam:PassRole"
    ]
    assert len(needed) >= 11
    clean_up = {"codebuild:DeleteProject", "s3:DeleteObject"}  # of temporary builds alone
    for statement, action in needed:
        account.policies = {USER: [without(document, statement, action)]}
        account.uses.clear()
        with pytest.raises(ToolkitError) as caught:
            build(temporary=f"{PREFIX}temporary-1" if action in clean_up else None)
        assert caught.value.message.splitlines()[0] == "permissions are missing:"
        assert f"  {action} on " in caught.value.message
        assert "iam caller" in caught.value.cure
        assert {use.action.partition(":")[0] for use in account.uses} == {"iam"}, "nothing was touched"


def without(document, statement, action):
    """The policy without one action of one of its statements."""
    return {
        "Statement": [
            {**one, "Action": [name for name in one["Action"] if one is not statement or name != action]}
            for one in document["Statement"]
        ]
    }


def test_a_role_that_may_not_push_is_told_before_anything_is_sent(account, printed, build):
    document = printed("build-role")
    push = next(one for one in document["Statement"] if one["Sid"] == "Push")
    account.policies = {ROLE: [without(document, push, "ecr:PutImage")]}
    with pytest.raises(ToolkitError, match=f"ecr:PutImage on .*, which the role {ROLE} lacks") as caught:
        build()
    assert "iam build-role" in caught.value.cure


def test_without_iam_what_can_be_tried_is_tried(account, printed, build, fake):
    document = printed("caller")
    builds = next(one for one in document["Statement"] if one["Sid"] == "Builds")
    checks = [one for one in document["Statement"] if one["Sid"] in ("LookAtRoles", "AskForPermissions")]
    alone = {"Statement": [one for one in document["Statement"] if one not in checks]}
    account.policies = {USER: [alone]}
    assert build().status == "SUCCEEDED"
    account.policies = {USER: [without(alone, builds, "codebuild:StartBuild")]}
    with pytest.raises(ToolkitError, match="codebuild:StartBuild, which"):
        build(settings=Settings(ROLE, timeout=9))
    assert len(fake.projects) == 1


@pytest.mark.contract("CB-20")
def test_a_role_that_codebuild_may_not_take_is_told_before_anything_is_sent(account, build, aws):
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com"]}, "Action": "sts:AssumeRole"}
        ],
    }
    aws.client("iam").create_role(RoleName="other", AssumeRolePolicyDocument=json.dumps(trust))
    other = f"arn:aws:iam::{ACCOUNT}:role/other"
    with pytest.raises(ToolkitError, match="does not trust CodeBuild"):
        build(settings=Settings(other))
    with pytest.raises(ToolkitError, match="there is no role none"):
        build(settings=Settings(f"arn:aws:iam::{ACCOUNT}:role/none"))


# What CodeBuild's own agent does with the role, by its user guide, and what `docker pull` does of a base.
AGENT = [
    *(
        Use(f"logs:{action}", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/codebuild/opt-ml{stream}")
        for action in ("CreateLogGroup", "CreateLogStream", "PutLogEvents")
        for stream in ("", ":log-stream:1")
    ),
    Use("s3:GetObject", f"arn:aws:s3:::sagemaker-{REGION}-{ACCOUNT}/opt-ml/context/0.zip"),
]
NETWORK = [
    *(
        Use(f"ec2:{action}", "*")
        for action in (
            *("CreateNetworkInterface", "DeleteNetworkInterface", "DescribeDhcpOptions"),
            *("DescribeNetworkInterfaces", "DescribeSubnets", "DescribeSecurityGroups", "DescribeVpcs"),
        )
    ),
    Use(
        "ec2:CreateNetworkInterfacePermission",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:network-interface/eni-1",
        (("ec2:AuthorizedService", "codebuild.amazonaws.com"),),
    ),
]


@pytest.mark.contract("CB-22", "CB-23")
def test_the_policy_of_builds_allows_what_codebuild_does_with_it(printed):
    document = printed("build-role", "--vpc", "--secret", "index", "--parameter", "/a/b")
    secret = Use(
        "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:index-a1B2c3"
    )
    parameter = Use("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/a/b")
    uses = [*AGENT, *NETWORK, secret, parameter]
    assert [use for use in uses if not allows(document, use)] == []
    rest = {action for action, _ in unused(document, uses)}
    assert {action.partition(":")[0] for action in rest} == {"ecr"}
    plain = printed("build-role")
    assert [use.action for use in NETWORK if allows(plain, use)] == []


def test_the_template_has_no_finding_of_cfn_lint(tmp_path, capsys):
    template = tmp_path / "template.json"
    options = ["--vpc", "--secret", "index", "--parameter", "/a/b", "--bucket", "mine"]
    for arguments in ([], options):
        assert cli.main(["iam", "--cloudformation", *arguments]) == 0
        template.write_text(capsys.readouterr().out)
        lint = subprocess.run(
            [Path(sys.executable).with_name("cfn-lint"), template],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (lint.stdout, lint.returncode) == ("", 0)


def test_the_template_says_what_the_policies_say(printed, capsys):
    cli.main(["iam", "--cloudformation"])
    text = capsys.readouterr().out
    for variable, value in {"Partition": "aws", "Region": REGION, "AccountId": ACCOUNT}.items():
        text = text.replace(f"${{AWS::{variable}}}", value)
    resources = json.loads(text.replace("${BuildRole.Arn}", ROLE))["Resources"]
    role = resources["BuildRole"]["Properties"]
    assert role["AssumeRolePolicyDocument"] == printed("trust")
    build, said = plain(role["Policies"][0]["PolicyDocument"]), printed("build-role")
    assert pulls(build) > pulls(
        said
    )  # a template does not know the region, and so names all of AWS's registries
    assert build == said
    everything = printed("push", "--share", "--all-regions")
    caller = plain(resources["CallerPolicy"]["Properties"]["PolicyDocument"])
    assert caller["Statement"] == [*printed("caller")["Statement"], *everything["Statement"]]


def pulls(document):
    """The registries to pull from, which are taken out."""
    [pull] = [statement for statement in document["Statement"] if statement["Sid"] == "Pull"]
    return set(pull.pop("Resource"))


def plain(document):
    return json.loads(json.dumps(document), object_hook=lambda found: found.get("Fn::Sub", found))


def test_policies_need_a_region_and_the_template_nothing(aws, monkeypatch, capsys):
    monkeypatch.delenv("AWS_REGION")
    assert cli.main(["iam", "caller"]) == 2
    assert capsys.readouterr().err.startswith("error: no AWS region is chosen.\n  ")
    assert cli.main(["iam", "--cloudformation"]) == 0


def test_all_parts_are_printed_together(printed):
    assert list(printed()) == ["caller", "build-role", "trust", "push", "repository"]
