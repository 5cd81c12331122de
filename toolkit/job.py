"""A SageMaker training job on this machine: executes a plan and reports as DescribeTrainingJob would.

All of a job lies in one directory, `jobs/<name>/`:

    algo-1/          what the host of that name has under /opt/ml: input, model, output
    log.txt          every line that the container printed, with time and host
    model.tar.gz     what it left in /opt/ml/model (TRAIN-70)
    output.tar.gz    what it left in /opt/ml/output/data (TRAIN-73)
    result.json      `JobResult`
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from toolkit.artifacts import pack, readable_size
from toolkit.containers import Container, engine
from toolkit.errors import ToolkitError
from toolkit.job_log import Follower, OnLine, find_metrics, stamped
from toolkit.training_job import Channel, Plan, TrainingJob, plan

__all__ = ["Channel", "JobResult", "Plan", "TrainingJob", "execute", "plan"]

HOST = "algo-1"
STOP_GRACE = 120  # seconds from SIGTERM to SIGKILL (TRAIN-94)
REASON_LENGTH = 1024  # characters of the failure file that become FailureReason (TRAIN-75)


@dataclass(frozen=True)
class JobResult:
    """How a job ended, in the terms of DescribeTrainingJob.

    Attributes:
        status: `Completed`, `Failed` or `Stopped` (TRAIN-76, TRAIN-94).
        failure_reason: the first 1024 characters of the failure file (TRAIN-75), or what this toolkit
            knows where there is no such file; None unless the status is `Failed`.
        metrics: name -> last value found in the log (TRAIN-110).
        model, output: the archives; None where the container left nothing.
        duration: seconds from the container's start to its end.
        warnings: one line each.
    """

    image: str
    name: str
    status: str
    exit_code: int
    failure_reason: str | None
    metrics: Mapping[str, float]
    model: Path | None
    output: Path | None
    log: Path
    host_dir: Path
    duration: float
    warnings: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line where it went well; the reason first and then the log where it did not."""
        if self.status == "Completed":
            size = f"{self.model} ({readable_size(self.model.stat().st_size)})" if self.model else "no model"
            return f"Completed in {self.duration:.1f} s: {size}"
        if self.status == "Stopped":
            kept = f"; kept {self.model}" if self.model else ""
            return f"Stopped after {self.duration:.1f} s, exit code {self.exit_code}{kept}. Log: {self.log}"
        ending = f"Failed after {self.duration:.1f} s, exit code {self.exit_code}. Log: {self.log}"
        # Its first line: the log above has the rest, and a traceback is not read twice.
        return f"{(self.failure_reason or '').partition(chr(10))[0]}\n{ending}"

    def as_json(self) -> str:
        """One JSON object with the attributes; paths as text."""
        return json.dumps(asdict(self), indent=2, default=str)


def execute(plan: Plan, on_line: OnLine = print) -> JobResult:
    """Run the job and gather what it left; the container is always removed.

    The first Ctrl-C stops the job as StopTrainingJob does, a second one kills it.

    Args:
        plan: from `plan`.
        on_line: receives each log line, with time and host, as it comes.

    Raises:
        ToolkitError: no engine, no such image, a job directory that exists already.
    """
    docker = engine()
    docker.image(plan.run.image)
    host_dir = _write_tree(plan)
    log_path = plan.directory / "log.txt"
    lines: list[str] = []
    with log_path.open("w", encoding="utf-8") as log:

        def keep(line: str) -> None:
            lines.append(line)
            log.write(stamped(HOST, line) + "\n")
            log.flush()
            on_line(stamped(HOST, line))

        try:
            with docker.private_network(plan.run), docker.run(plan.run) as container:
                started = time.monotonic()
                stopping = _follow(container, keep, on_line)
                exit_code = container.wait()
                duration = time.monotonic() - started
                out_of_memory = container.was_out_of_memory()
        finally:
            docker.give_to_caller(plan.run.image, host_dir)
    result = _gather(plan, lines, exit_code, duration, stopping, out_of_memory)
    written = plan.directory / ".result.json"
    written.write_text(result.as_json() + "\n", encoding="utf-8")
    written.rename(plan.directory / "result.json")
    return result


def _write_tree(plan: Plan) -> Path:
    try:
        plan.directory.mkdir(parents=True)
    except FileExistsError:
        raise ToolkitError(
            f"{plan.directory} exists already.", "Choose another --job-name, or remove it."
        ) from None
    except OSError as error:
        raise ToolkitError(
            f"{plan.directory} cannot be made: {error.strerror}.", "Choose another directory with --output."
        ) from None
    host_dir = plan.directory.absolute() / HOST
    for part in ("input/config", "input/data", "model", "output/data"):
        (host_dir / part).mkdir(parents=True)
    for path, text in plan.files.items():
        (plan.directory / path).write_text(text, encoding="utf-8")
    for channel in plan.job.channels:
        # Mount points made here belong to the caller; made by the engine they would belong to root.
        mount_point = host_dir / "input" / "data" / channel.name
        mount_point.mkdir()
        if channel.source.is_file():
            (mount_point / channel.source.resolve().name).touch()
    return host_dir


def _follow(container: Container, keep: OnLine, on_line: OnLine) -> bool:
    """Pass on the log until the container ends; True when Ctrl-C stopped it."""
    stops: list[threading.Thread] = []

    def on_interrupt() -> None:
        if not container.is_running():
            return  # it has ended by itself: only its last lines are still to come
        if stops:
            on_line("Killing the job.")
            container.kill()
            return
        on_line(
            f"Stopping the job: SIGTERM now, SIGKILL in {STOP_GRACE} s. Press Ctrl-C again to kill it now."
        )
        stops.append(threading.Thread(target=container.stop, args=(STOP_GRACE,), daemon=True))
        stops[0].start()

    Follower(container.lines()).follow(keep, on_interrupt)
    return bool(stops)


def _gather(
    plan: Plan, lines: list[str], exit_code: int, duration: float, stopped: bool, out_of_memory: bool
) -> JobResult:
    host_dir = plan.directory / HOST
    archives = {"model.tar.gz": host_dir / "model", "output.tar.gz": host_dir / "output" / "data"}
    warnings = tuple(
        line for name, source in archives.items() for line in pack(source, plan.directory / name)
    )
    model, output = (plan.directory / name if (plan.directory / name).exists() else None for name in archives)
    status = "Stopped" if stopped else "Failed" if exit_code else "Completed"
    return JobResult(
        image=plan.job.image,
        name=plan.job.name,
        status=status,
        exit_code=exit_code,
        failure_reason=_failure_reason(host_dir, exit_code, out_of_memory) if status == "Failed" else None,
        metrics=find_metrics(lines),
        model=model,
        output=output,
        log=plan.directory / "log.txt",
        host_dir=host_dir,
        duration=round(duration, 3),
        warnings=warnings,
    )


def _failure_reason(host_dir: Path, exit_code: int, out_of_memory: bool) -> str:
    failure = host_dir / "output" / "failure"
    if failure.is_file():
        return failure.read_text(encoding="utf-8", errors="replace")[:REASON_LENGTH].strip()
    if out_of_memory:
        return "The container ran out of memory. Give it more with --memory, or use less data."
    return f"The container wrote no /opt/ml/output/failure and ended with exit code {exit_code}."
