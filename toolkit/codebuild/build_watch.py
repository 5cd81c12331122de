"""A running build until its end: its log, its phases, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.aws.errors import UnreachableError, explained
from toolkit.codebuild.log_tail import LogTail
from toolkit.errors import ToolkitError, WorkError

POLL_SECONDS = 3.0
# A build is complete before the last lines of its log are there: so many readings, a second apart, that find
# nothing more are its end.
QUIET_READINGS = 4
QUIET_SECONDS = 1.0
# In a row, while a laptop's network is away; botocore has tried each time for itself.
MOST_LOST_CALLS = 40

_CURES = {
    "exit status 137": "The build ran out of memory: a larger --compute-type, such as BUILD_GENERAL1_LARGE.",
    "BUILD_TIMED_OUT": "--timeout MINUTES gives it longer, a larger --compute-type makes it faster.",
    "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE": "--build-image names the image that the build runs in.",
    "VPC_CLIENT_ERROR": "./build.py iam build-role --vpc shows what the role needs.",
}


@dataclass(frozen=True)
class Phase:
    """One phase of a build.

    Attributes:
        name: such as `BUILD`.
        status: such as `SUCCEEDED`; empty for one without an end.
        seconds: how long it took.
        message: why it failed, in CodeBuild's words; empty where it did not.
    """

    name: str
    status: str
    seconds: int
    message: str

    @property
    def failed(self) -> bool:
        """True for every end but success (CB-36)."""
        return self.status not in ("", "IN_PROGRESS", "SUCCEEDED")


@dataclass(frozen=True)
class Outcome:
    """What a build came to.

    Attributes:
        build_id: as CodeBuild names it, `PROJECT:UUID`.
        status: SUCCEEDED, FAILED, FAULT, TIMED_OUT or STOPPED.
        phases: in order.
        log_url: of the log in the console; empty where there is none.
        variables: what the build has exported.
        log_error: why lines of the log may be missing here; empty where all are shown.
    """

    build_id: str
    status: str
    phases: Sequence[Phase]
    log_url: str
    variables: Mapping[str, str]
    log_error: str = ""

    @property
    def seconds(self) -> int:
        """Of all phases."""
        return sum(phase.seconds for phase in self.phases)

    def table(self) -> str:
        """A line for each phase that took place."""
        rows = [phase for phase in self.phases if phase.status]
        return "\n".join(f"  {phase.name:18}{phase.status:12}{phase.seconds:6d} s" for phase in rows)

    def check(self) -> None:
        """Return where the build has succeeded (CB-09).

        Raises:
            WorkError: the failing phase's error, then where the log is, then why it is not all here.
        """
        if self.status == "SUCCEEDED":
            return
        failed = next((phase for phase in self.phases if phase.failed), None)
        where = f" in {failed.name} after {failed.seconds} s" if failed else ""
        why = f": {failed.message}" if failed and failed.message else "."
        text = f"{failed.message if failed else ''} {self.status}"
        cures = [cure for sign, cure in _CURES.items() if sign in text]
        if self.log_url:
            cures.append(f"The log: {self.log_url}")
        if self.log_error:
            cures.append(f"The log could not be read to its end here: {self.log_error}")
        raise WorkError(f"the build ended as {self.status}{where}{why}", "\n  ".join(cures))


class BuildWatch:
    """Follows one build.

    Args:
        codebuild: a boto3 client of CodeBuild.
        tail: shows the log.
        on_note: gets a line when a phase begins, or when something keeps the watch from seeing.
        pause: waits so many seconds.
    """

    def __init__(
        self,
        codebuild: Any,
        tail: LogTail,
        on_note: Callable[[str], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._codebuild = codebuild
        self._tail = tail
        self._on_note = on_note
        self._pause = pause
        self._log_error = ""
        self._phase = ""

    def until_complete(self, build_id: str) -> Outcome:
        """Show the log until the build is complete and no more lines come.

        Raises:
            ToolkitError: the build may not be looked at (any more), or AWS is not reached for a long time.
        """
        while True:
            build = self._describe(build_id)
            logs = build.get("logs", {})
            self._tail.follow(logs.get("groupName"), logs.get("streamName"))
            self._tell_phase(build.get("currentPhase", ""))
            if build.get("buildComplete") or build["buildStatus"] != "IN_PROGRESS":
                self._finish_log()
                return _outcome(build, self._log_error)
            self._read(self._tail.read)
            self._pause(POLL_SECONDS)

    def _describe(self, build_id: str) -> Mapping[str, Any]:
        lost = 0
        while True:
            try:
                with explained(self._codebuild):
                    answer = self._codebuild.batch_get_builds(ids=[build_id])
            except UnreachableError as error:
                lost += 1
                if lost > MOST_LOST_CALLS:
                    raise
                if lost == 1:
                    self._on_note(f"{error.message} The build goes on; trying again ...")
                self._pause(POLL_SECONDS)
                continue
            build: Mapping[str, Any] = answer["builds"][0]
            return build

    def _tell_phase(self, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            if phase != "COMPLETED":
                self._on_note(f"{phase} ...")

    def _read(self, read: Callable[[], int]) -> int:
        """Read the log; an error is remembered, for it must not hide what the build comes to."""
        try:
            count = read()
        except ToolkitError as error:
            if not self._log_error:
                self._on_note(f"The log cannot be read: {error.message}")
            self._log_error = error.message
            return 0
        self._log_error = ""
        return count

    def _finish_log(self) -> None:
        if not self._tail.has_place:
            return  # it never got a machine
        quiet = 0
        while quiet < QUIET_READINGS:
            # The last of them goes through the whole log once more, for lines that came in before others.
            last = quiet == QUIET_READINGS - 1
            found = self._read(self._tail.read_again if last else self._tail.read)
            quiet = 0 if found else quiet + 1
            if quiet < QUIET_READINGS:
                self._pause(QUIET_SECONDS)


def _outcome(build: Mapping[str, Any], log_error: str) -> Outcome:
    return Outcome(
        build_id=build["id"],
        status=build["buildStatus"],
        phases=[_phase(phase) for phase in build.get("phases", [])],
        log_url=build.get("logs", {}).get("deepLink", ""),
        variables={one["name"]: one["value"] for one in build.get("exportedEnvironmentVariables", [])},
        log_error=log_error,
    )


def _phase(phase: Mapping[str, Any]) -> Phase:
    contexts = [
        ": ".join(part for part in (one.get("statusCode"), one.get("message")) if part)
        for one in phase.get("contexts", [])
    ]
    return Phase(
        name=phase["phaseType"],
        status=phase.get("phaseStatus", ""),
        seconds=phase.get("durationInSeconds", 0),
        message="; ".join(text for text in contexts if text),
    )
