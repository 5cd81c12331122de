"""A build from the files here to its end, in a CodeBuild that runs it on this machine."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from tests.codebuild.fake_aws import ACCOUNT, REGION, AwsError
from toolkit.building.build_context import sent_files
from toolkit.codebuild import buildspec
from toolkit.codebuild.project import PREFIX, Settings
from toolkit.codebuild.remote_build import Order, run
from toolkit.errors import ToolkitError, WorkError

ROLE = f"arn:aws:iam::{ACCOUNT}:role/opt-ml-codebuild"


def order(folder, *, exported=(), temporary=None, bucket=None, settings=None, **phases):
    return Order(
        root=folder,
        names=sent_files(folder),
        buildspec=buildspec.write({"install": buildspec.unpack(), **phases}, exported=exported),
        settings=settings or Settings(ROLE),
        bucket=bucket,
        temporary=temporary,
    )


def keys(aws):
    listing = aws.client("s3").list_objects_v2(Bucket=f"sagemaker-{REGION}-{ACCOUNT}")
    return [entry["Key"] for entry in listing.get("Contents", [])]


def test_a_build_sees_the_files_and_hands_back_what_it_made(runner, aws, folder, heard):
    commands = ['export WORD="$(head -n 1 words.txt) more"', "cat words.txt"]
    outcome = run(order(folder, build=commands, exported=["WORD"]), aws, heard.listener)
    assert outcome.status == "SUCCEEDED"
    assert outcome.variables == {"WORD": "one more"}
    assert heard.printed() == ["one", "two"]
    assert [phase.name for phase in outcome.phases if phase.status][:6] == [
        *("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD")
    ]


def test_files_are_as_new_as_the_build(runner, aws, folder, heard):
    """BuildKit takes a file of the same size and time for the one in its cache."""
    run(order(folder, build=["find . -name words.txt -newermt 2020-01-01"]), aws, heard.listener)
    assert heard.printed() == ["./words.txt"]


@pytest.mark.contract("CB-02")
def test_the_same_content_is_sent_once_and_the_project_made_once(runner, aws, fake, folder, heard):
    for _ in range(2):
        run(order(folder, build=["true"]), aws, heard.listener)
    assert len(keys(aws)) == 1
    assert [note for note in heard.notes if note.startswith(("Sent", "Already", "New", "Project"))] == [
        f"Sent 1 files, 0.0 MB, s3://sagemaker-{REGION}-{ACCOUNT}/{keys(aws)[0]}",
        f"New project {next(iter(fake.projects))}",
        f"Already there: 1 files, 0.0 MB, s3://sagemaker-{REGION}-{ACCOUNT}/{keys(aws)[0]}",
        f"Project {next(iter(fake.projects))}",
    ]
    assert next(iter(fake.projects)).startswith(PREFIX)


def test_other_settings_are_another_project(runner, aws, fake, folder, heard):
    for timeout in (30, 60):
        run(order(folder, settings=Settings(ROLE, timeout=timeout)), aws, heard.listener)
    assert len(fake.projects) == 2


@pytest.mark.contract("CB-09", "CB-12")
def test_a_failed_command_ends_the_build_and_no_later_phase_runs(runner, aws, folder, heard):
    phases = {"build": ["echo before", "sh -c 'exit 3'", "echo after"], "post_build": ["echo pushed"]}
    outcome = run(order(folder, **phases), aws, heard.listener)
    assert heard.printed() == ["before"]
    with pytest.raises(WorkError) as caught:
        outcome.check()
    assert caught.value.message.startswith("the build ended as FAILED in BUILD after 0 s: COMMAND_EXECUTION")
    assert caught.value.message.endswith("exit status 3")


def test_without_on_failure_post_build_would_run_after_a_failed_build(runner, aws, folder, heard):
    """What the buildspecs guard against: the runner does as CodeBuild does."""
    text = json.loads(order(folder, build=["false"], post_build=["echo pushed"]).buildspec)
    del text["phases"]["build"]["on-failure"]
    careless = Order(folder, sent_files(folder), json.dumps(text), Settings(ROLE))
    assert run(careless, aws, heard.listener).status == "FAILED"
    assert heard.printed() == ["pushed"]


@pytest.mark.contract("CB-11")
def test_text_of_a_user_reaches_the_program_as_it_is(runner, aws, folder, heard):
    (folder / "build.py").write_text("#!/usr/bin/env python3\nimport sys\nprint(ascii(sys.argv[1:]))\n")
    (folder / "build.py").chmod(0o755)
    texts = ["two words", "; echo injected", "$(echo injected)", "`id`", 'a"b', "it's", "a\nb", "${X}", ""]
    spec = json.loads(buildspec.of_images(["tiny"], build=texts, push=[], curated=False))
    spec["phases"]["install"]["commands"] = buildspec.unpack()
    del spec["phases"]["post_build"]
    run(Order(folder, sent_files(folder), json.dumps(spec), Settings(ROLE)), aws, heard.listener)
    assert heard.printed() == [ascii(["build", "tiny", *texts])]


@pytest.mark.contract("CB-08")
@pytest.mark.parametrize("ending", ["SUCCEEDED", "FAILED", "interrupted", "refused"])
def test_a_temporary_project_and_its_archive_are_gone_however_it_ends(
    runner, aws, fake, folder, heard, ending
):
    asked = order(folder, temporary=f"{PREFIX}temporary-1", build=["false" if ending == "FAILED" else "true"])
    if ending == "interrupted":
        asked = order(folder, temporary=f"{PREFIX}temporary-1", build=["echo ready; sleep 60"])
        with interrupted_when_ready(heard), pytest.raises(KeyboardInterrupt):
            run(asked, aws, heard.listener)
    elif ending == "refused":
        fake.errors = [("StartBuild", AwsError("AccountLimitExceededException", "Cannot have more than 1"))]
        with pytest.raises(WorkError, match="runs as many builds"):
            run(asked, aws, heard.listener)
    else:
        assert run(asked, aws, heard.listener).status == ending
    assert fake.projects == {}
    assert keys(aws) == []


class interrupted_when_ready:  # noqa: N801 - reads as a block
    """Sends this process what Ctrl-C sends, as soon as the build has printed `ready`."""

    def __init__(self, heard):
        self.heard, self.done = heard, threading.Event()

    def __enter__(self):
        main = threading.main_thread().ident

        def interrupt():
            while "ready" not in self.heard.lines:
                if self.done.wait(0.01):
                    return
            signal.pthread_kill(main, signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()

    def __exit__(self, *_):
        self.done.set()


def test_ctrl_c_stops_the_build_and_shows_its_end(runner, aws, fake, folder, heard):
    with interrupted_when_ready(heard), pytest.raises(KeyboardInterrupt):
        run(order(folder, build=["echo ready; sleep 60"]), aws, heard.listener)
    assert [build["buildStatus"] for build in fake.builds.values()] == ["STOPPED"]
    assert heard.notes[-1].startswith("The build ended as STOPPED")
    assert len(fake.projects) == 1


def test_ctrl_c_while_the_build_is_asked_for_stops_it_too(runner, aws, fake, folder, heard):
    def interrupt(operation):
        if operation == "StartBuild":
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    fake.on_call = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(order(folder, build=["sleep 60"]), aws, heard.listener)
    assert [build["buildStatus"] for build in fake.builds.values()] == ["STOPPED"]


def test_a_build_that_runs_out_of_time_says_how_to_get_more(runner, aws, fake, folder, heard):
    def end_of_time(operation):
        if "ready" in heard.lines:
            runner.stop(next(iter(fake.builds)), "TIMED_OUT")

    fake.on_call = end_of_time
    outcome = run(order(folder, build=["echo ready; sleep 60"]), aws, heard.listener)
    with pytest.raises(WorkError, match="ended as TIMED_OUT in BUILD") as caught:
        outcome.check()
    assert "--timeout" in caught.value.cure


@pytest.mark.contract("CB-24")
def test_a_role_that_was_just_made_is_waited_for(runner, aws, fake, folder, heard, monkeypatch):
    monkeypatch.setattr("toolkit.codebuild.project._ROLE_SECONDS", 0)
    refusal = AwsError(
        "InvalidInputException", "CodeBuild is not authorized to perform: sts:AssumeRole on role"
    )
    fake.errors = [("CreateProject", refusal)] * 3
    assert run(order(folder), aws, heard.listener).status == "SUCCEEDED"
    fake.errors = [("CreateProject", refusal)] * 20
    with pytest.raises(ToolkitError, match="may not take the role") as caught:
        run(order(folder, settings=Settings(ROLE, timeout=7)), aws, heard.listener)
    assert "iam trust" in caught.value.cure


def test_a_bucket_in_another_region_is_an_error_with_both_regions(runner, aws, folder, heard):
    where = {"LocationConstraint": "eu-west-1"}
    aws.client("s3", "eu-west-1").create_bucket(Bucket="elsewhere", CreateBucketConfiguration=where)
    with pytest.raises(ToolkitError) as caught:
        run(order(folder, bucket="elsewhere"), aws, heard.listener)
    assert caught.value.message == (
        f"the bucket elsewhere lies in eu-west-1, and the build would run in {REGION}."
    )


def test_a_bucket_that_is_not_there_is_made_only_if_nobody_named_it(runner, aws, folder, heard):
    with pytest.raises(ToolkitError, match="there is no bucket called mine"):
        run(order(folder, bucket="mine"), aws, heard.listener)


def test_an_account_that_is_full_of_projects_says_what_to_do(runner, aws, fake, folder, heard):
    fake.errors = [("CreateProject", AwsError("AccountLimitExceededException", "Cannot have more"))]
    with pytest.raises(WorkError, match="as many CodeBuild projects") as caught:
        run(order(folder), aws, heard.listener)
    assert "aws codebuild list-projects" in caught.value.cure


def test_a_lost_session_leaves_the_build_and_says_how_to_look_at_it(runner, aws, fake, folder, heard):
    fake.errors = [("BatchGetBuilds", AwsError("ExpiredTokenException", "expired"))]
    with pytest.raises(ToolkitError, match=r"have expired.*goes on unseen") as caught:
        run(order(folder, build=["true"]), aws, heard.listener)
    assert f"--ids {next(iter(fake.builds))}" in caught.value.cure
