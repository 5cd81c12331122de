"""Runs the builds that are started in the fake CodeBuild as CodeBuild documents it, on this machine.

Source from S3; buildspec version 0.2: all commands of a build in one shell, so that variables live on. A
phase ends with its first failing command, then its `finally` commands run. After a failed install or
pre_build the build is over; after a failed build post_build follows, unless `on-failure` is ABORT.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.codebuild.fake_aws import REGION, FakeAws
from tests.codebuild.log_stream import LogStream

PHASES = ("install", "pre_build", "build", "post_build")
MARK = "--end-of-command--"


class Runner:
    """Args:
    fake: where builds are started.
    s3: a client of the S3 that has the sources.
    workplace: an empty directory.
    environment: of the machine that builds run on.
    """

    def __init__(self, fake: FakeAws, s3: Any, workplace: Path, environment: Mapping[str, str]) -> None:
        self.fake, self.s3, self.workplace = fake, s3, workplace
        self.environment = dict(environment)
        self.prepare = lambda directory: None
        self._shells: dict[str, Shell] = {}
        self._ended: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        fake.on_start, fake.on_stop = self.start, self.stop

    def start(self, build_id: str) -> None:
        thread = threading.Thread(target=self._run, args=(build_id,))
        self._threads.append(thread)
        thread.start()

    def stop(self, build_id: str, status: str = "STOPPED") -> None:
        """As StopBuild does, or, with TIMED_OUT, as the end of the build's time does."""
        self._ended[build_id] = status
        if build_id in self._shells:
            self._shells[build_id].kill()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _run(self, build_id: str) -> None:
        try:
            self._phases(build_id)
        except Exception as error:
            self.fake.end_phase(build_id, "FAULT", ("INTERNAL_SERVICE_ERROR", repr(error)))
            self.fake.end(build_id, "FAULT")
            raise

    def _phases(self, build_id: str) -> None:
        parameters = next(
            call
            for operation, call in reversed(self.fake.calls)
            if operation == "StartBuild" and build_id.startswith(call["projectName"] + ":")
        )
        project = self.fake.projects[parameters["projectName"]]
        for name in ("SUBMITTED", "QUEUED", "PROVISIONING"):
            self.fake.begin_phase(build_id, name)
            self.fake.end_phase(build_id)
        self.fake.begin_phase(build_id, "DOWNLOAD_SOURCE")
        log = self.fake.place_log(build_id, project)
        source = self.workplace / build_id.replace(":", "-")
        self._download(parameters["sourceLocationOverride"], source)
        buildspec = yaml.safe_load(parameters["buildspecOverride"])
        self.fake.end_phase(build_id)
        self.fake.open_log(build_id, log)
        variables = self._variables(build_id, project) | buildspec.get("env", {}).get("variables", {})
        shell = self._shells[build_id] = Shell(source, variables, log)
        try:
            self._commands(build_id, buildspec, shell)
        finally:
            shell.kill()

    def _commands(self, build_id: str, buildspec: dict[str, Any], shell: Shell) -> None:
        status = "SUCCEEDED"
        for name in PHASES:
            phase = buildspec["phases"].get(name, {})
            self.fake.begin_phase(build_id, name.upper())
            if build_id in self._ended:  # before there was a shell
                shell.kill()
            shell.run(f"export CODEBUILD_BUILD_SUCCEEDING={int(status == 'SUCCEEDED')}")
            failure = next(filter(None, map(shell.run, phase.get("commands", []))), None)
            for command in phase.get("finally", []):
                shell.run(command)
            if build_id in self._ended:
                status = self._ended[build_id]
                self.fake.end_phase(build_id, status, (f"BUILD_{status}", ""))
                break
            if failure:
                status = "FAILED"
                self.fake.end_phase(build_id, status, ("COMMAND_EXECUTION_ERROR", failure))
                if name in ("install", "pre_build") or phase.get("on-failure", "CONTINUE") == "ABORT":
                    break
            else:
                self.fake.end_phase(build_id)
        if status == "SUCCEEDED":
            names = buildspec.get("env", {}).get("exported-variables", [])
            self.fake.builds[build_id]["exportedEnvironmentVariables"] = [
                {"name": name, "value": shell.value(name)} for name in names
            ]
        self.fake.begin_phase(build_id, "FINALIZING")
        self.fake.end_phase(build_id)
        self.fake.end(build_id, status)

    def _download(self, location: str, target: Path) -> None:
        bucket, _, key = location.partition("/")
        content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(target)
        self.prepare(target)

    def _variables(self, build_id: str, project: dict[str, Any]) -> dict[str, str]:
        declared = project["environment"]["environmentVariables"]
        assert {one["type"] for one in declared} <= {"PLAINTEXT"}
        return {
            **self.environment,
            **{one["name"]: one["value"] for one in declared},
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "CODEBUILD_BUILD_ID": build_id,
        }


class Shell:
    """One `sh` for all commands of a build; what they print goes to the log."""

    def __init__(self, directory: Path, environment: Mapping[str, str], log: LogStream) -> None:
        self._log = log
        self._ending = threading.Lock()
        self._process = subprocess.Popen(
            ["sh"],
            cwd=directory,
            env={**environment, "CODEBUILD_SRC_DIR": str(directory)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> str | None:
        """The reason why the command failed, or None."""
        self._say(f"[Container] Running command {command}\n")
        status = self._send(f"eval {quoted(command)} </dev/null")
        reason = f"exit status {status}" if status is not None else "signal: killed"
        return None if status == 0 else f"Error while executing command: {command}. Reason: {reason}"

    def value(self, name: str) -> str:
        """Of a variable at the end of the build."""
        path = Path(f"/proc/{self._process.pid}")  # the shell is alive
        assert path.exists()
        seen: list[str] = []
        self._send(f"printenv {name}", seen.append)
        return "".join(seen).strip("\n")

    def kill(self) -> None:
        with self._ending:  # the end of the build and StopBuild come from two threads
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def _send(self, text: str, say: Any = None) -> int | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{text}\nprintf '\\n{MARK}%s\\n' $?\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        for line in self._process.stdout:
            if line.startswith(MARK):
                return int(line.removeprefix(MARK))
            if line != "\n":
                (say or self._say)(line)
        return None

    def _say(self, line: str) -> None:
        now = int(time.time() * 1000)
        self._log.put(now, line, now)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
