"""A SageMaker training job on this machine: executes a plan and reports as DescribeTrainingJob would.

All of a job lies in one directory, `jobs/<name>/`:

    algo-1/ ...      what the host of that name has under /opt/ml: input, model, output
    log.txt          every line that the containers printed, with time and host
    logs/            the same as a stream a host, as CloudWatch has them (TRAIN-78)
    model.tar.gz     what the hosts left in /opt/ml/model (TRAIN-70); `model/` without compression
    output.tar.gz    what they left in /opt/ml/output/data (TRAIN-73); `output/` likewise
    result.json      `JobResult` in the terms of DescribeTrainingJob
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from toolkit.jobs import channel_data, job_tree
from toolkit.artifacts import lay_out, pack
from toolkit.jobs.checkpoint_sync import CheckpointSync
from toolkit.machine.container import Container
from toolkit.machine.containers import Engine, engine
from toolkit.errors import ToolkitError
from toolkit.jobs.job_attempt import Attempt, AttemptEnd, Cause, Order, Watch
from toolkit.jobs.job_log import JobLog, OnLine
from toolkit.jobs.job_result import Course, JobResult
from toolkit.jobs.pipe_feeder import Feeder
from toolkit.jobs.pipe_mode import PipeSource
from toolkit.jobs.training_job import Channel, InstanceGroup, Plan, TrainingJob, plan

__all__ = ["Channel", "InstanceGroup", "JobResult", "Plan", "TrainingJob", "Watch", "execute", "plan"]

REASON_LENGTH = 1024  # characters of the failure file that become FailureReason (TRAIN-75)


def execute(
    plan: Plan,
    on_line: OnLine = print,
    watch: Watch | None = None,
    stop: threading.Semaphore | None = None,
) -> JobResult:
    """Run the job and gather what it left; containers and network are always removed.

    The first Ctrl-C stops the job as StopTrainingJob does, a second one kills it. Where one host fails the
    job fails, and the other hosts are stopped.

    Args:
        plan: from `plan`.
        on_line: receives each log line, with time and host, as it comes.
        watch: called with host and container when the container has started, for each start; what it
            returns is entered then and left when the container has ended.
        stop: each release of it counts as one Ctrl-C, for a caller that runs this in a thread.

    Raises:
        ToolkitError: no engine, no such image, a job directory that exists already, a channel whose files
            cannot be read.
    """
    docker = engine()
    docker.image(plan.run.image)
    if _pipes(plan) and not docker.shares_kernel():
        raise ToolkitError(
            "Pipe mode needs a Docker engine on this Linux machine itself: a FIFO does not lead into a "
            "virtual machine.",
            "Use File or FastFile mode here.",
        )
    course = Course()
    course.enter("Starting", "Making the job's directory and network")
    job_tree.make(plan)
    log = JobLog(plan.directory, plan.runs, plan.job.metrics, on_line)
    try:
        with log, docker.private_network(plan.run, internal=plan.job.isolated):
            ends = _run_all(_Run(docker, plan, log, course, watch, stop))
    except BaseException:
        if not course.has_been("Training"):
            job_tree.remove(plan.directory)  # nothing has run: the name stays free for the next try
        raise
    finally:
        job_tree.remove_shares(plan)
    course.enter("Uploading", "Gathering model and output")
    result = _gather(plan, log, ends, course)
    write_result(plan, result)
    return result


def write_result(plan: Plan, result: JobResult) -> None:
    """result.json of the job, whole or not at all."""
    written = plan.directory / ".result.json"
    written.write_text(result.as_json() + "\n", encoding="utf-8")
    written.rename(plan.directory / "result.json")


class _Run:
    """What every start of the containers needs."""

    def __init__(
        self,
        docker: Engine,
        plan: Plan,
        log: JobLog,
        course: Course,
        watch: Watch | None,
        stop: threading.Semaphore | None,
    ) -> None:
        self.docker, self.plan, self.log, self.course = docker, plan, log, course
        self.watch, self.stop = watch, stop

    def start(self, orders: list[Order]) -> AttemptEnd:
        """Start all hosts, and follow them until the last has ended."""
        try:
            with self._checkpoints(), ExitStack() as resources:
                self.log.open_streams()
                names = self._names_network(resources)
                containers = {
                    host: resources.enter_context(self.docker.run(replace(run, aliases=self._names(host))))
                    for host, run in self.plan.runs.items()
                }
                self.course.enter("Training", "Training in progress")
                attempt = Attempt(containers, self.log, orders, self.plan.job.stop_grace)
                for feeder in _feeders(self.plan, attempt):
                    resources.enter_context(feeder)
                resources.enter_context(self._naming(containers, names))
                return attempt.follow(self.watch, self.stop)
        finally:
            self._give_to_caller()

    def _names(self, host: str) -> tuple[str, ...]:
        return () if self.plan.job.late_names else self.plan.runs[host].aliases

    def _names_network(self, resources: ExitStack) -> str | None:
        """A second network for names that come late: the engine gives a name only with a connection.

        The hosts keep the first one, with its interface, through all of it.
        """
        if not (self.plan.job.late_names and self.plan.has_network):
            return None
        names = replace(self.plan.run, network=f"{self.plan.run.network}-names")
        resources.enter_context(self.docker.private_network(names, internal=True))
        return names.network

    @contextmanager
    def _naming(self, containers: dict[str, Container], network: str | None) -> Iterator[None]:
        """Give the hosts their names when it is time (TRAIN-42)."""
        if network is None:
            yield
            return

        def give() -> None:
            for host, container in containers.items():
                self.docker.give_names(container, replace(self.plan.runs[host], network=network))

        timer = threading.Timer(self.plan.job.late_names, give)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    @contextmanager
    def _checkpoints(self) -> Iterator[None]:
        """Several hosts' checkpoints are copied to the job's; one host writes there itself."""
        remote, hosts = self.plan.job.checkpoint_dir, list(self.plan.runs)
        if remote is None or len(hosts) == 1:
            yield
            return
        remote.mkdir(parents=True, exist_ok=True)
        sync = CheckpointSync(
            remote, {host: self.plan.directory.absolute() / host / "checkpoints" for host in hosts}
        )
        try:
            with sync:
                yield
        finally:
            self._give_to_caller()
            sync.once()

    def _give_to_caller(self) -> None:
        directories = [self.plan.directory.absolute() / host for host in self.plan.runs]
        for given in (self.plan.job.checkpoint_dir, self.plan.job.warm_pool_dir):
            directories += [given.absolute()] if given else []
        # Of a file system that others may write to only what lies in the caller's own directory.
        mounted = [channel.source.resolve() for channel in self.plan.job.channels if channel.access == "rw"]
        directories += [path for path in mounted if path.stat().st_uid == os.geteuid()]
        self.docker.give_to_caller(self.plan.run.image, *directories)


def _run_all(run: _Run) -> list[AttemptEnd]:
    """Start the job, and again after each spot interruption (TRAIN-96)."""
    ends: list[AttemptEnd] = []
    while True:
        trained = sum(end.seconds for end in ends)
        orders = _orders(run.plan.job, len(ends), trained)
        if ends:
            ends_it = (order for order in orders if order.cause is not Cause.INTERRUPTED)
            if overdue := next((order for order in ends_it if order.after <= 0), None):
                ends[-1] = replace(ends[-1], cause=overdue.cause)
                return ends
            kept = "the same checkpoints" if run.plan.job.checkpoint_dir else "no checkpoints"
            run.log.say(f"Starting the job again: new containers, {kept}, an empty model.")
            run.course.enter("Starting", "Starting again after the interruption")
            job_tree.renew(run.plan)
        ends.append(run.start(orders))
        if ends[-1].cause is not Cause.INTERRUPTED:
            return ends
        run.course.enter("Interrupted", "The spot instances were reclaimed")


def _orders(job: TrainingJob, number: int, trained: float) -> list[Order]:
    """When the containers of start `number` will be ended, in seconds after this start."""
    limit = Order(
        job.max_run - trained, Cause.MAX_RUNTIME, job.stop_grace, "The job has run for its longest time"
    )
    orders = [limit]
    if job.stop_after is not None:
        orders.append(Order(job.stop_after - trained, Cause.STOPPED, job.stop_grace, "Stopping the job"))
    if number < len(job.spot_interrupt_after):
        after = job.spot_interrupt_after[number]
        orders.append(Order(after, Cause.INTERRUPTED, job.spot_notice, "Spot interruption"))
    return orders


def _pipes(plan: Plan) -> list[Channel]:
    return [channel for channel in plan.job.channels if plan.job.mode_of(channel) == "Pipe"]


def _feeders(plan: Plan, attempt: Attempt) -> Iterator[Feeder]:
    for channel in _pipes(plan):
        hosts = plan.job.hosts_of_channel(channel)
        for host in hosts:
            data = plan.directory / host / "input" / "data"
            yield Feeder(data, channel.name, PipeSource(channel, hosts, host), attempt.break_off)


def _gather(plan: Plan, log: JobLog, ends: list[AttemptEnd], course: Course) -> JobResult:
    last = ends[-1]
    host_dirs = {host: plan.directory / host for host in plan.runs}
    model, model_warnings = _upload(plan, {host: path / "model" for host, path in host_dirs.items()}, "model")
    output, output_warnings = _upload(
        plan, {host: path / "output" / "data" for host, path in host_dirs.items()}, "output"
    )
    failed = last.first_failed
    status = "Stopped" if last.cause else "Failed" if failed else "Completed"
    secondary = last.cause.value if last.cause else status
    course.finish(secondary, f"Training job {status.lower()}")
    exit_codes = {host: last.endings[host].exit_code for host in plan.runs}
    interruptions = sum(end.cause is Cause.INTERRUPTED for end in ends)
    warnings = [*model_warnings, *output_warnings]
    if interruptions and plan.job.checkpoint_dir is None:
        warnings.append("The job was interrupted without --checkpoint-dir: it began from scratch each time.")
    warnings += channel_data.warnings(plan.job.channels)
    if status == "Completed" and interruptions < len(plan.job.spot_interrupt_after):
        after = plan.job.spot_interrupt_after[interruptions]
        warnings.append(f"The job was done before the spot interruption after {after:g} s.")
    return JobResult(
        job=plan.job,
        status=status,
        secondary_status=secondary,
        exit_code=exit_codes[failed] if failed else next(iter(exit_codes.values())),
        exit_codes=exit_codes,
        failure_reason=_failure_reason(host_dirs, last, failed) if failed and status == "Failed" else None,
        failed_host=failed,
        metrics=dict(log.metrics),
        model=model,
        output=output,
        log=log.path,
        host_dirs=host_dirs,
        duration=round(sum(end.seconds for end in ends), 3),
        interruptions=interruptions,
        by_hand=last.by_hand,
        transitions=tuple(course.transitions),
        warnings=tuple(warnings),
    )


def _upload(plan: Plan, directories: dict[str, Path], name: str) -> tuple[Path | None, list[str]]:
    target = plan.directory / (f"{name}.tar.gz" if plan.job.compress else name)
    warnings = pack(directories, target) if plan.job.compress else lay_out(directories, target)
    return target if target.exists() else None, warnings


def _failure_reason(host_dirs: dict[str, Path], end: AttemptEnd, host: str) -> str:
    failure = host_dirs[host] / "output" / "failure"
    if failure.is_file() and (
        reason := failure.read_text(encoding="utf-8", errors="replace")[:REASON_LENGTH].strip()
    ):
        return reason
    if end.endings[host].out_of_memory:
        return "The container ran out of memory. Give it more with --memory, or use less data."
    code = end.endings[host].exit_code
    where = f" of {host}" if len(host_dirs) > 1 else ""
    return f"The container{where} wrote no /opt/ml/output/failure and ended with exit code {code}."
