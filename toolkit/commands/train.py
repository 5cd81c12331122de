"""`train`: run a SageMaker training job on this machine."""

from __future__ import annotations

import argparse
from typing import Any

HELP = "Run a training job on this machine, as SageMaker would."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a training job is, and what is printed of it."""
    add_job_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be written and run")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the result as DescribeTrainingJob does, the log on stderr; with --dry-run the "
        "CreateTrainingJob request and what is run",
    )


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """The image, and what a CreateTrainingJob request says."""
    from toolkit.jobs import channel_option

    parser.add_argument(
        "image", help="an image of this repository (ensemble-cpu), or any local image reference"
    )
    _add_job(parser, channel_option.SYNTAX, channel_option.HELP)
    _add_script(parser.add_argument_group("a script of yours, or another program of the image"))
    _add_hosts(parser.add_argument_group("hosts"))
    _add_end(parser.add_argument_group("stopping and resuming"))


def _add_job(parser: argparse.ArgumentParser, syntax: str, help_text: str) -> None:
    add = parser.add_argument
    add("--channel", action="append", default=[], metavar=syntax, help=help_text)
    add("--input-mode", choices=["File", "FastFile", "Pipe"], help="of channels that name none (File)")
    add("--hyperparameter", action="append", default=[], metavar="NAME=VALUE", help="as text (repeatable)")
    add("--hyperparameters", metavar="FILE.json", help="a JSON object; --hyperparameter overrides it")
    add("--environment", action="append", default=[], metavar="NAME=VALUE", help="(repeatable)")
    add(
        "--metric",
        action="append",
        default=[],
        metavar="NAME=REGEX",
        help="a metric in the log, the value in the first group; name=value; is found without (repeatable)",
    )
    add(
        "--from-json",
        metavar="FILE",
        help="a CreateTrainingJob request to start from; --channel NAME=PATH for each of its channels",
    )
    add("--job-name", default="", metavar="NAME", help="default: the image and the time")
    add("--output", default="jobs", metavar="DIR", help="where the job's directory is made (jobs)")
    add("--no-compression", action="store_true", help="model/ and output/ instead of archives")


def _add_script(group: Any) -> None:
    group.add_argument("--source-dir", metavar="DIR", help="directory of your script, mounted read-only")
    group.add_argument("--entry-point", metavar="FILE", help="the program in --source-dir, such as train.py")
    group.add_argument(
        "--container-entrypoint",
        action="append",
        metavar="WORD",
        help="run this instead of the image's ENTRYPOINT and the word train (repeatable)",
    )
    group.add_argument(
        "--container-argument",
        action="append",
        metavar="WORD",
        help="instead of the word train; --container-argument=--x for a word with hyphens (repeatable)",
    )


def _add_hosts(group: Any) -> None:
    group.add_argument("--hosts", type=int, metavar="N", help="number of hosts, a container each (1)")
    group.add_argument(
        "--instance-group",
        action="append",
        default=[],
        metavar="NAME=TYPE:COUNT",
        help="a heterogeneous cluster, such as gpu=ml.g5.xlarge:2 (repeatable; instead of --hosts)",
    )
    group.add_argument("--late-names", metavar="TIME", help="the hosts' names resolve only after so long")
    group.add_argument("--network-isolation", action="store_true", help="no network but between the hosts")
    group.add_argument("--cpus", type=float, metavar="N", help="limit of each container (default: all)")
    group.add_argument("--memory", metavar="SIZE", help="limit of each container, such as 4g (default: all)")
    group.add_argument("--warm-pool", metavar="DIR", help="stands for a warm pool's cache directory")


def _add_end(group: Any) -> None:
    group.add_argument("--checkpoint-dir", metavar="DIR", help="kept and given back to the next job")
    group.add_argument("--checkpoint-path", metavar="PATH", help="in the container (/opt/ml/checkpoints)")
    group.add_argument(
        "--spot-interrupt-after",
        action="append",
        default=[],
        metavar="TIME",
        help="take the container away after so long and start a new one (repeatable: the new one too)",
    )
    group.add_argument("--spot-notice", metavar="TIME", help="from SIGTERM to SIGKILL (2m; 0: no notice)")
    group.add_argument("--stop-after", metavar="TIME", help="stop as StopTrainingJob does: 90, 5m, 1h")
    group.add_argument("--max-run", metavar="TIME", help="the job's longest time (24h)")


def run(arguments: argparse.Namespace) -> int:
    """Plan and execute the job.

    Returns:
        0 when it completed, or was stopped by --stop-after; 1 when it failed or ran out of its time; 130
        when Ctrl-C stopped it.
    """
    import sys

    from toolkit.interrupts import terminate_like_interrupt
    from toolkit.jobs import measured_job
    from toolkit.jobs.job import plan

    terminate_like_interrupt()
    job_plan = plan(job_of(arguments))
    if arguments.dry_run:
        print(job_plan.as_json() if arguments.json else job_plan.describe())
        return 0
    progress = sys.stderr if arguments.json else sys.stdout
    print(f"Training job {job_plan.job.name} in {job_plan.directory}/", file=progress, flush=True)
    result = measured_job.run(job_plan, on_line=lambda line: print(line, file=progress, flush=True))
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(result.as_json() if arguments.json else result.summary(), flush=True)
    if not arguments.json:
        print(result.closing(), flush=True)
    if result.by_hand:
        return 130
    return 0 if result.secondary_status in {"Completed", "Stopped"} else 1


def job_of(arguments: argparse.Namespace) -> Any:
    """The `TrainingJob` that the arguments describe, on top of a request where one is given."""
    from dataclasses import replace
    from pathlib import Path

    from toolkit.building.images import local_reference
    from toolkit.errors import ToolkitError
    from toolkit.jobs.channel_option import parse_channels
    from toolkit.jobs.job import TrainingJob
    from toolkit.jobs.job_request import from_request
    from toolkit.jobs.options import parse_groups, parse_pairs, read_hyperparameters

    image, channels = local_reference(arguments.image), parse_channels(arguments.channel)
    job = TrainingJob(image, channels)
    if arguments.from_json:
        job = from_request(Path(arguments.from_json), image, {channel.name: channel for channel in channels})
    if arguments.instance_group and arguments.hosts:
        raise ToolkitError(
            "Instance groups have their own numbers of hosts.", "Leave --hosts or --instance-group out."
        )
    values = arguments.hyperparameters
    given: dict[str, Any] = {
        "name": arguments.job_name,
        "input_mode": arguments.input_mode,
        "isolated": arguments.network_isolation,
        "hosts": arguments.hosts,
        "instance_groups": parse_groups(arguments.instance_group),
        "cpus": arguments.cpus,
        "entry_point": arguments.entry_point,
        "entrypoint": tuple(arguments.container_entrypoint or ()),
        "arguments": tuple(arguments.container_argument or ()),
        "checkpoint_path": arguments.checkpoint_path,
        "source_dir": arguments.source_dir and Path(arguments.source_dir),
        "checkpoint_dir": arguments.checkpoint_dir and Path(arguments.checkpoint_dir),
        "warm_pool_dir": arguments.warm_pool and Path(arguments.warm_pool),
        **_limits(arguments),
    }
    return replace(
        job,
        jobs_dir=Path(arguments.output),
        compress=job.compress and not arguments.no_compression,
        hyperparameters={
            **job.hyperparameters,
            **(read_hyperparameters(Path(values)) if values else {}),
            **parse_pairs("--hyperparameter", arguments.hyperparameter),
        },
        environment={**job.environment, **parse_pairs("--environment", arguments.environment)},
        metrics={**job.metrics, **parse_pairs("--metric", arguments.metric)},
        # What was not given keeps the request's value, or the default.
        **{name: value for name, value in given.items() if _is_given(value)},
    )


def _is_given(value: Any) -> bool:
    return value is not None and value is not False and value not in ("", ())  # 0 is given


def _limits(arguments: argparse.Namespace) -> dict[str, Any]:
    """Times and sizes, None where they are not given."""
    from toolkit.jobs.options import parse_seconds, parse_size

    times = ("late_names", "spot_notice", "stop_after", "max_run")
    limits: dict[str, Any] = {}
    for name in times:
        text = getattr(arguments, name)
        limits[name] = None if text is None else parse_seconds(f"--{name.replace('_', '-')}", text)
    limits["spot_interrupt_after"] = tuple(
        parse_seconds("--spot-interrupt-after", text) for text in arguments.spot_interrupt_after
    )
    limits["memory"] = parse_size(arguments.memory) if arguments.memory else None
    return limits
