"""Every line of a build's log is shown exactly once, however CloudWatch Logs hands them out."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.codebuild.log_stream import LogStream
from toolkit.codebuild.build_watch import BuildWatch
from toolkit.codebuild.log_tail import LogTail

# Few texts and few times, so that equal ones are common.
LINE = st.tuples(st.integers(0, 4), st.sampled_from(["a\n", "b\n", "", "Waiting\r\n"]), st.integers(0, 1))
STEP = st.one_of(
    st.lists(LINE, min_size=1, max_size=5),
    st.sampled_from(["read", "tokens expire", "the stream is there", "complete"]),
)


@pytest.fixture(scope="module")
def clients(client):
    return client("codebuild"), client("logs")


class Script:
    """What happens to a build and its log, a piece at each pause of whoever watches."""

    def __init__(self, fake, build_id, log, steps):
        self.fake, self.build_id, self.log, self.steps = fake, build_id, log, iter(steps)
        self.put = []

    def go_on(self, _seconds):
        complete = self.fake.builds[self.build_id]["buildComplete"]
        if complete:  # its log may be late, but nobody waits for ever
            self.take("the stream is there")
        for step in self.steps:
            self.take(step)
            late_lines = complete and isinstance(step, list)
            if step == "complete" or late_lines or (step == "read" and not complete):
                return
        if not complete:
            self.take("complete")

    def take(self, step):
        if step == "tokens expire":
            self.log.expire_tokens()
        elif step == "the stream is there":
            self.fake.open_log(self.build_id, self.log)
        elif step == "complete":
            self.fake.end(self.build_id, "SUCCEEDED")
        elif step != "read":
            for timestamp, message, ingestion in step:
                self.log.put(timestamp, message, ingestion)
                self.put.append(message.rstrip("\r\n"))


@pytest.mark.contract("CB-07")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=14), page_sizes=st.lists(st.integers(0, 3), max_size=20))
def test_every_line_is_shown_exactly_once(served, clients, steps, page_sizes):
    served.reset()
    build_id = start(served)
    log = served.place_log(build_id)
    log.page_sizes = iter(page_sizes)
    script, shown = Script(served, build_id, log, steps), []
    codebuild, logs = clients
    watch = BuildWatch(codebuild, LogTail(logs, shown.append), lambda note: None, script.go_on)
    assert watch.until_complete(build_id).status == "SUCCEEDED"
    assert Counter(shown) == Counter(script.put)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.lists(st.integers(0, 2), max_size=4), max_size=6),
    page_sizes=st.lists(st.integers(0, 3), max_size=20),
)
def test_lines_in_time_are_shown_in_their_order(served, clients, batches, page_sizes):
    served.reset()
    build_id = start(served)
    log = served.place_log(build_id)
    served.open_log(build_id, log)
    log.page_sizes = iter(page_sizes)
    shown, numbers, timestamp = [], itertools.count(), 0
    tail = LogTail(clients[1], shown.append)
    logs = served.builds[build_id]["logs"]
    tail.follow(logs["groupName"], logs["streamName"])
    for batch in batches:
        for step in batch:
            timestamp += step  # equal times, too
            log.put(timestamp, f"{next(numbers)}\n")
        tail.read()
    tail.read_again()
    assert shown == [str(number) for number in range(next(numbers))]


def start(fake):
    fake.projects["project"] = {"name": "project"}
    return fake._StartBuild("project")["build"]["id"]


def test_a_build_that_never_got_a_machine_has_no_log_to_wait_for(fake, clients):
    build_id = start(fake)
    fake.begin_phase(build_id, "PROVISIONING")
    fake.end_phase(build_id, "FAULT", ("INTERNAL_SERVICE_ERROR", "CodeBuild is experiencing an issue"))
    fake.end(build_id, "FAULT")
    watch = BuildWatch(clients[0], LogTail(clients[1], print), print, pause=never)
    assert watch.until_complete(build_id).status == "FAULT"
    assert "GetLogEvents" not in fake.operations()


def never(_seconds):
    raise AssertionError("nothing to wait for")


def test_the_fake_misses_lines_that_come_late_as_the_service_does():
    log = LogStream()
    log.put(5, "five")
    token = log.get(None)["nextForwardToken"]
    log.put(3, "three")
    assert log.get(token)["events"] == []
    assert [event["message"] for event in log.get(None)["events"]] == ["three", "five"]
