"""Why an image does not train or does not serve, as rules that it breaks."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.conformance.once import UnusableError
from tests.conformance.outcomes import last_line
from tests.conformance.profile import Profile
from toolkit.artifacts import model_directory
from toolkit.errors import ToolkitError
from toolkit.jobs.job import JobResult
from toolkit.serving.endpoint import Bind, Endpoint, EndpointError, Surroundings

PORT = 8080
SETTLED = 10.0  # seconds for which an idle server must stay wrong before nobody waits for it any more
IDLE = 0.5  # seconds of CPU in that time
LAST_LINES = 12
LISTENING = "0A"  # the state in /proc/net/tcp
LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
RESOLVER = "0B00007F"  # Docker's name server in a network of its own
MODEL = "/opt/ml/model"
MISSING = ("404", "405", "501")  # statuses of a route that is not there
# Asks a server from beside it: argv is the port, the method and the path.
ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=2)
connection.request(sys.argv[2], sys.argv[3], b"" if sys.argv[2] == "POST" else None)
print(connection.getresponse().status)
"""
_NOT_WRITABLE = re.compile(r"read-only file system|permission denied|errno 30|errno 13", re.IGNORECASE)


class Listener(NamedTuple):
    """A TCP port on which something in a container listens."""

    port: int
    is_loopback: bool


def listening(endpoint: Endpoint) -> list[list[str]]:
    """The rows of the container's table of TCP sockets that listen; ToolkitError where there is no `cat`."""
    listed = endpoint.container.exec(["cat", "/proc/net/tcp"], b"").decode()
    with suppress(ToolkitError):  # a kernel without IPv6
        listed += endpoint.container.exec(["cat", "/proc/net/tcp6"], b"").decode()
    rows = [line.split() for line in listed.splitlines()]
    return [row for row in rows if len(row) > 4 and row[3] == LISTENING]


def listeners(endpoint: Endpoint) -> set[Listener]:
    """The listening TCP ports of the container's network; ToolkitError where the image has no `cat`."""
    found = [row[1].split(":") for row in listening(endpoint)]
    return {Listener(int(port, 16), address in LOOPBACK) for address, port in found if address != RESOLVER}


def wait_until_healthy(endpoint: Endpoint, start_limit: float) -> None:
    """Wait for /ping, and no longer than there is hope.

    Args:
        endpoint: entered with `wait=False`.
        start_limit: seconds.

    Raises:
        UnusableError: with the rules that it breaks, as far as they can be seen.
    """
    began, last = time.monotonic(), ""
    wrong_since, worked = began, _cpu_seconds(endpoint)
    while (waited := time.monotonic() - began) < start_limit:
        if not endpoint.container.is_running():
            raise _unusable(endpoint, _ended(endpoint))
        seen = _probe(endpoint)
        if not seen:
            return
        if seen != last or time.monotonic() - wrong_since > SETTLED:
            # A server that loads may listen elsewhere until it has: only an idle one is done.
            works = _cpu_seconds(endpoint) - worked
            if seen == last and works < IDLE and ("status 4" in seen or _elsewhere(endpoint)):
                break
            last, wrong_since, worked = seen, time.monotonic(), worked + works
        time.sleep(0.2)
    broken = _elsewhere(endpoint) or {_rule_of(last): f"GET /ping: {last}, for {waited:.0f} s."}
    raise _unusable(endpoint, broken | _routes(endpoint))


def _cpu_seconds(endpoint: Endpoint) -> float:
    """What the container has used of the CPUs so far."""
    usage = endpoint.container.stats().get("cpu_stats", {}).get("cpu_usage", {})
    return float(usage.get("total_usage", 0)) / 1e9


def _probe(endpoint: Endpoint) -> str:
    """Empty where /ping is 200, else what came in its place."""
    try:
        status = endpoint.ping().status
    except TimeoutError:
        return "no answer within 2 s"
    except (OSError, http.client.HTTPException, ToolkitError):
        return "no connection to port 8080"
    return "" if status == 200 else f"status {status}"


def _rule_of(seen: str) -> str:
    return {"status 404": "HOST-31", "status 405": "HOST-31", "no connection to port 8080": "HOST-30"}.get(
        seen, "HOST-40"
    )


def _elsewhere(endpoint: Endpoint) -> dict[str, str]:
    """HOST-30, where the server listens, and nobody outside can reach it."""
    try:
        found = listeners(endpoint)
    except ToolkitError:
        return {}
    if not found or Listener(PORT, is_loopback=False) in found:
        return {}
    places = ", ".join(f"{'127.0.0.1' if one.is_loopback else '0.0.0.0'}:{one.port}" for one in sorted(found))
    return {"HOST-30": f"The server listens on {places}, and nothing on 0.0.0.0:{PORT}."}


def _routes(endpoint: Endpoint) -> dict[str, str]:
    """HOST-31, where the server answers inside its container only, and there it has not both routes."""
    try:
        ports = [one.port for one in listeners(endpoint)]
        asked = [("GET", "/ping"), ("POST", "/invocations")] if ports else []
        statuses = [
            endpoint.container.exec(["python3", "-c", ASK, str(ports[0]), *request], b"").decode().strip()
            for request in asked
        ]
    except ToolkitError:  # an image without Python
        return {}
    said = [
        f"{method} {path} is {status}"
        for (method, path), status in zip(asked, statuses, strict=True)
        if status in MISSING
    ]
    return {"HOST-31": f"{' and '.join(said)}, asked from inside the container."} if said else {}


def written(endpoint: Endpoint) -> dict[str, str]:
    """HOST-21, where the server has written below a model directory of the image's own."""
    listed = subprocess.run(
        ["docker", "diff", endpoint.container.name], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    paths = [path for kind, _, path in (line.partition(" ") for line in listed) if kind != "D"]
    found = [path for path in paths if path.startswith(f"{MODEL}/")]
    return {"HOST-21": f"The server wrote {', '.join(found[:3])}: on SageMaker it cannot."} if found else {}


def _ended(endpoint: Endpoint) -> dict[str, str]:
    code = endpoint.container.wait()
    time.sleep(0.2)  # the log's last lines come by a thread
    lines = endpoint.logs().splitlines()
    if refused := [line for line in lines if _NOT_WRITABLE.search(line) and MODEL in line]:
        return {"HOST-21": f"The server ended with exit code {code}: {refused[-1].strip()}"}
    said = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
    return {"HOST-40": f"The server ended with exit code {code} before /ping was 200. Its last line: {said}"}


def _unusable(endpoint: Endpoint, broken: dict[str, str]) -> UnusableError:
    broken = broken | written(endpoint)
    tail = "\n".join(endpoint.logs().splitlines()[-LAST_LINES:])
    return UnusableError("The server did not become healthy.", broken, tail)


def start(image: str, model: Path | None, start_limit: float, scratch: Path) -> Endpoint:
    """An endpoint that is healthy, entered.

    Args:
        image: to serve it.
        model: as for `Endpoint`.
        start_limit: seconds.
        scratch: an empty directory. Where the server fails for want of writing into the model, it is tried
            once more with a copy there that can be written, to see what else stands in its way.

    Raises:
        UnusableError: it does not become healthy, with the rules that it breaks.
    """
    try:
        return _started(Endpoint(image, model, start_limit=start_limit, wait=False), start_limit)
    except UnusableError as error:
        if model is None or "HOST-21" not in error.findings:
            raise
        with model_directory(model) as directory:
            shutil.copytree(directory, scratch, dirs_exist_ok=True)
        around = Surroundings(binds=(Bind(scratch, MODEL),))
        try:
            writable = Endpoint(image, surroundings=around, start_limit=start_limit, wait=False)
            _give_up(_started(writable, start_limit))
        except UnusableError as further:
            error.findings.update(further.findings)
            error.notes = f"{error.notes}\n{further.notes}"
        raise error from None


def _started(endpoint: Endpoint, start_limit: float) -> Endpoint:
    try:
        endpoint.__enter__()
    except EndpointError as error:
        raise UnusableError("The server did not become healthy.", {"HOST-40": error.message}) from None
    except ToolkitError as error:
        raise not_startable(error, "HOST-02") from None
    try:
        wait_until_healthy(endpoint, start_limit)
    except BaseException:
        _give_up(endpoint)
        raise
    return endpoint


def require_predictions(endpoint: Endpoint, profile: Profile) -> None:
    """Ask for one.

    Raises:
        UnusableError: HOST-31, where /invocations is not there, or does not answer.
    """
    body = profile.payload(1)
    try:
        answer = endpoint.invoke(body, profile.content_type, profile.accept)
    except ToolkitError as error:
        said = body.partition(b"\n")[0].decode(errors="replace")[:40]
        asked = f"POST /invocations with {said} as {profile.content_type}"
        seen = f"{asked}: {error.message} Name what it takes by --payload and --content-type."
        raise UnusableError(
            "The server predicts nothing.",
            {"HOST-31": seen},
            "\n".join(endpoint.logs().splitlines()[-LAST_LINES:]),
        ) from None
    if str(answer.status) in MISSING:
        said = f"POST /invocations is {answer.status}."
        raise UnusableError("The server predicts nothing.", {"HOST-31": said}, answer.text[:500])


def not_startable(error: ToolkitError, rule: str) -> UnusableError:
    """The engine finds nothing to run, which breaks `rule`; or it has a trouble of its own."""
    is_images = "no executable" in error.message or "exec format" in error.message
    return UnusableError(error.message, {rule: error.message} if is_images else {})


def _give_up(endpoint: Endpoint) -> None:
    endpoint.stop(0)
    endpoint.__exit__(None, None, None)


def of_job(result: JobResult) -> dict[str, str]:
    """The rules that a job breaks which did not complete, or left nothing; empty for a good one."""
    last = last_line(result)
    if result.status == "Stopped":
        return {"TRAIN-76": f"The job had not ended after {result.duration:.0f} s. Its last line: {last}"}
    if result.status == "Failed":
        broken = {"TRAIN-76": f"Exit code {result.exit_code}. Its last line: {last}"}
        if not (result.host_dir / "output" / "failure").exists():
            broken["TRAIN-75"] = "The job failed, and there is no /opt/ml/output/failure that says why."
        return broken
    if result.model is None:
        return {"TRAIN-70": "The job ended with exit code 0, and /opt/ml/model is empty."}
    return {}
