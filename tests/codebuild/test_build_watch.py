"""What a watched build comes to, and what keeps the watch from seeing it."""

from __future__ import annotations

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.codebuild.fake_aws import AwsError
from toolkit.codebuild.build_watch import BuildWatch
from toolkit.codebuild.log_tail import LogTail
from toolkit.errors import WorkError


@pytest.fixture
def build_id(fake):
    fake.projects["project"] = {"name": "project"}
    return fake._StartBuild("project")["build"]["id"]


@pytest.fixture
def watch(client, shown, notes):
    return BuildWatch(
        client("codebuild"), LogTail(client("logs"), shown.append), notes.append, lambda _: None
    )


@pytest.fixture
def shown():
    return []


@pytest.fixture
def notes():
    return []


def play(fake, build_id, status, context=("", "")):
    """A build with a line in its log that ends in the phase BUILD."""
    log = fake.place_log(build_id)
    fake.open_log(build_id, log)
    log.put(1, "the last line\n")
    fake.begin_phase(build_id, "PROVISIONING")
    fake.end_phase(build_id)
    fake.begin_phase(build_id, "BUILD")
    fake.end_phase(build_id, status, context)
    fake.end(build_id, status)


@pytest.mark.contract("CB-09", "CB-36")
@pytest.mark.parametrize("status", ["FAILED", "FAULT", "TIMED_OUT", "STOPPED"])
def test_every_end_but_success_is_a_failure(fake, build_id, watch, status):
    play(fake, build_id, status, ("COMMAND_EXECUTION_ERROR", "Error while executing command: ./build.py"))
    with pytest.raises(WorkError) as caught:
        watch.until_complete(build_id).check()
    assert caught.value.exit_code == 1
    assert caught.value.message == (
        f"the build ended as {status} in BUILD after 0 s: "
        "COMMAND_EXECUTION_ERROR: Error while executing command: ./build.py"
    )


def test_a_build_that_succeeded_has_a_table_of_its_phases(fake, build_id, watch, notes):
    play(fake, build_id, "SUCCEEDED")
    outcome = watch.until_complete(build_id)
    outcome.check()
    assert outcome.table().splitlines() == [
        "  PROVISIONING      SUCCEEDED        0 s",
        "  BUILD             SUCCEEDED        0 s",
    ]


@pytest.mark.parametrize(
    ("context", "cure"),
    [
        (("COMMAND_EXECUTION_ERROR", "Reason: exit status 137"), "--compute-type"),
        (("BUILD_TIMED_OUT", "Build has timed out."), "--timeout"),
    ],
)
def test_a_known_cause_has_a_cure(fake, build_id, watch, context, cure):
    play(fake, build_id, "FAILED", context)
    with pytest.raises(WorkError) as caught:
        watch.until_complete(build_id).check()
    assert cure in caught.value.cure


def test_the_failing_phase_comes_before_a_log_that_cannot_be_read(fake, build_id, watch, notes, shown):
    play(fake, build_id, "FAILED", ("COMMAND_EXECUTION_ERROR", "exit status 1"))
    fake.errors = [("GetLogEvents", AwsError("AccessDeniedException", "not allowed"))] * 9
    with pytest.raises(WorkError) as caught:
        watch.until_complete(build_id).check()
    assert "in BUILD" in caught.value.message
    assert "not allowed" in caught.value.cure.splitlines()[-1]
    assert len([note for note in notes if "not allowed" in note]) == 1
    assert shown == []


def test_a_log_that_can_be_read_again_is_shown_whole(fake, build_id, watch, shown):
    play(fake, build_id, "SUCCEEDED")
    fake.errors = [("GetLogEvents", AwsError("ThrottlingException", "Rate exceeded"))]
    assert watch.until_complete(build_id).log_error == ""
    assert shown == ["the last line"]


def test_a_network_that_comes_back_ends_no_watch(fake, build_id, client, shown, notes):
    play(fake, build_id, "SUCCEEDED")
    codebuild, away = client("codebuild"), iter([True, True])

    def lose(request, **_):
        if next(away, False):
            raise EndpointConnectionError(endpoint_url=request.url)

    codebuild.meta.events.register("before-send", lose)
    watch = BuildWatch(codebuild, LogTail(client("logs"), shown.append), notes.append, lambda _: None)
    watch.until_complete(build_id)
    assert [note for note in notes if "was not reached" in note] == notes[:1]
    assert shown == ["the last line"]
