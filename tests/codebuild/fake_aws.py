"""CodeBuild and CloudWatch Logs on loopback, in AWS's JSON protocol; what a build does is the test's to say.

Requests and answers are held against botocore's own description of the two services: a member that AWS does
not know fails the test.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
from botocore.model import Shape

from tests.codebuild.log_stream import InvalidTokenError, LogStream

ACCOUNT = "123456789012"
REGION = "us-west-2"


class AwsError(Exception):
    """An error that the service answers with."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


class FakeAws:
    """The state of the two services.

    Attributes:
        projects: name -> project.
        builds: id -> build, as BatchGetBuilds answers.
        streams: (group, stream) -> its log.
        calls: (operation, parameters) of every request, in order.
        errors: (operation, error) pairs that the next requests of that operation are answered with.
        on_start: called with the id of a build that was asked for.
        on_call: called before each request is answered: time passes.
    """

    def __init__(self) -> None:
        session = botocore.session.get_session()
        self._models = {
            "CodeBuild_20161006": session.get_service_model("codebuild"),
            "Logs_20140328": session.get_service_model("logs"),
        }
        self.address = ""
        self.reset()

    def reset(self) -> None:
        self.projects: dict[str, dict[str, Any]] = {}
        self.builds: dict[str, dict[str, Any]] = {}
        self.streams: dict[tuple[str, str], LogStream] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: list[tuple[str, AwsError]] = []
        self.on_start: Callable[[str], None] = lambda build_id: None
        self.on_stop: Callable[[str], None] = lambda build_id: self.end(build_id, "STOPPED")
        self.on_call: Callable[[str], None] = lambda operation: None

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.calls]

    # What builds do.

    def begin_phase(self, build_id: str, phase: str) -> None:
        build = self.builds[build_id]
        build["currentPhase"] = phase
        build["phases"].append({"phaseType": phase, "startTime": time.time()})

    def end_phase(
        self, build_id: str, status: str = "SUCCEEDED", context: tuple[str, str] = ("", "")
    ) -> None:
        phase = self.builds[build_id]["phases"][-1]
        now = time.time()
        phase |= {
            "phaseStatus": status,
            "endTime": now,
            "durationInSeconds": round(now - phase["startTime"]),
            "contexts": [{"statusCode": context[0], "message": context[1]}],
        }

    def end(self, build_id: str, status: str) -> None:
        build = self.builds[build_id]
        build |= {"buildStatus": status, "buildComplete": True, "endTime": time.time()}
        build["currentPhase"] = "COMPLETED"
        build["phases"].append({"phaseType": "COMPLETED", "startTime": time.time()})

    def place_log(self, build_id: str, project: dict[str, Any] | None = None) -> LogStream:
        """Say where the log of a build will be; `open_log` makes it be there."""
        name, _, stream = build_id.partition(":")
        config = (project or {}).get("logsConfig", {}).get("cloudWatchLogs", {})
        group = config.get("groupName", f"/aws/codebuild/{name}")
        self.builds[build_id]["logs"] |= {
            "groupName": group,
            "streamName": stream,
            "deepLink": f"https://console.example/{stream}",
        }
        return LogStream()

    def open_log(self, build_id: str, log: LogStream) -> None:
        logs = self.builds[build_id]["logs"]
        self.streams[logs["groupName"], logs["streamName"]] = log

    # The operations.

    def answer(self, target: str, parameters: dict[str, Any]) -> dict[str, Any]:
        service, _, operation = target.partition(".")
        model = self._models[service].operation_model(operation)
        _hold_against(model.input_shape, parameters, operation)
        self.on_call(operation)
        self.calls.append((operation, parameters))
        for number, (name, error) in enumerate(self.errors):
            if name == operation:
                del self.errors[number]
                raise error
        answer: dict[str, Any] = getattr(self, f"_{operation}")(**parameters)
        _hold_against(model.output_shape, answer, operation)
        return answer

    def _CreateProject(self, name: str, **definition: Any) -> dict[str, Any]:  # noqa: N802
        if name in self.projects:
            raise AwsError("ResourceAlreadyExistsException", f"Project already exists: {_project_arn(name)}")
        return {"project": self._keep_project(name, definition)}

    def _UpdateProject(self, name: str, **definition: Any) -> dict[str, Any]:  # noqa: N802
        if name not in self.projects:
            raise _no_project(name)
        return {"project": self._keep_project(name, {**self.projects[name], **definition, "name": name})}

    def _keep_project(self, name: str, definition: dict[str, Any]) -> dict[str, Any]:
        self.projects[name] = {**definition, "name": name, "arn": _project_arn(name)}
        return self.projects[name]

    def _BatchGetProjects(self, names: list[str]) -> dict[str, Any]:  # noqa: N802
        return {
            "projects": [self.projects[name] for name in names if name in self.projects],
            "projectsNotFound": [name for name in names if name not in self.projects],
        }

    def _DeleteProject(self, name: str) -> dict[str, Any]:  # noqa: N802
        self.projects.pop(name, None)
        return {}

    def _StartBuild(self, projectName: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        if projectName not in self.projects:
            raise AwsError(
                "ResourceNotFoundException", f"Project cannot be found: {_project_arn(projectName)}"
            )
        build_id = f"{projectName}:{len(self.builds):08x}-0000-4000-8000-000000000000"
        self.builds[build_id] = {
            "id": build_id,
            "arn": f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/{build_id}",
            "buildNumber": len(self.builds) + 1,
            "projectName": projectName,
            "buildStatus": "IN_PROGRESS",
            "buildComplete": False,
            "currentPhase": "SUBMITTED",
            "startTime": time.time(),
            "phases": [],
            "logs": {"cloudWatchLogs": {"status": "ENABLED"}},
        }
        self.on_start(build_id)
        return {"build": self.builds[build_id]}

    def _StopBuild(self, id: str) -> dict[str, Any]:  # noqa: A002, N802
        self.on_stop(id)
        return {"build": self.builds[id]}

    def _BatchGetBuilds(self, ids: list[str]) -> dict[str, Any]:  # noqa: N802
        known = [self.builds[one] for one in ids if one in self.builds]
        return {"builds": known, "buildsNotFound": [one for one in ids if one not in self.builds]}

    def _GetLogEvents(  # noqa: N802
        self,
        logGroupName: str,  # noqa: N803
        logStreamName: str,  # noqa: N803
        nextToken: str | None = None,  # noqa: N803
        startFromHead: bool = False,  # noqa: N803
    ) -> dict[str, Any]:
        assert startFromHead, "without it the first page is the newest one"
        stream = self.streams.get((logGroupName, logStreamName))
        if stream is None:
            raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
        try:
            return stream.get(nextToken)
        except InvalidTokenError:
            raise AwsError("InvalidParameterException", "The specified nextToken is invalid.") from None


def _no_project(name: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Project cannot be found: {_project_arn(name)}")


def _project_arn(name: str) -> str:
    return f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/{name}"


def _hold_against(shape: Shape | None, value: Any, place: str) -> None:
    """Fail where `value` has members that the shape does not describe."""
    if shape is None:
        assert not value, f"{place} has no members"
    elif shape.type_name == "structure":
        for name, member in value.items():
            assert name in shape.members, f"{place}.{name} is unknown to AWS"
            _hold_against(shape.members[name], member, f"{place}.{name}")
    elif shape.type_name == "list":
        for member in value:
            _hold_against(shape.member, member, place)


@contextmanager
def serve(fake: FakeAws) -> Iterator[str]:
    """The address of `fake` during the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer waits for the client's delayed acknowledgement

        def do_POST(self) -> None:
            parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, body = 200, fake.answer(self.headers["X-Amz-Target"], parameters)
            except AwsError as error:
                status, body = 400, {"__type": error.code, "message": error.message}
            except Exception as error:
                status, body = 500, {"__type": "FakeIsWrong", "message": f"{type(error).__name__}: {error}"}
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        fake.address = f"http://127.0.0.1:{server.server_port}"
        yield fake.address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
