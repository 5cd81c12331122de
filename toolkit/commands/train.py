"""`train`: run a SageMaker training job on this machine."""

from __future__ import annotations

import argparse

HELP = "Run a training job on this machine, as SageMaker would."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The image, and what a CreateTrainingJob request says."""
    parser.add_argument(
        "image", help="an image of this repository (ensemble-cpu), or any local image reference"
    )
    parser.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="NAME=PATH[,TYPE]",
        help="a directory or file as channel NAME, read-only; TYPE is its content type (repeatable)",
    )
    parser.add_argument(
        "--hyperparameter", action="append", default=[], metavar="NAME=VALUE", help="as text (repeatable)"
    )
    parser.add_argument(
        "--hyperparameters", metavar="FILE.json", help="a JSON object; --hyperparameter overrides it"
    )
    parser.add_argument(
        "--environment", action="append", default=[], metavar="NAME=VALUE", help="(repeatable)"
    )
    parser.add_argument("--job-name", default="", metavar="NAME", help="default: the image and the time")
    parser.add_argument(
        "--output", default="jobs", metavar="DIR", help="where the job's directory is made (jobs)"
    )
    parser.add_argument(
        "--network", choices=["bridge", "none"], default="bridge", help="none: network isolation"
    )
    parser.add_argument("--cpus", type=float, metavar="N", help="limit of the container (default: all)")
    parser.add_argument("--memory", metavar="SIZE", help="limit of the container, such as 4g (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be written and run")
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON; the log goes to stderr"
    )


def run(arguments: argparse.Namespace) -> int:
    """Plan and execute the job; 0 when it completed, 1 when it failed, 130 when Ctrl-C stopped it."""
    import sys
    from pathlib import Path

    from toolkit.images import local_reference
    from toolkit.job import TrainingJob, execute, plan
    from toolkit.options import (
        parse_channels,
        parse_pairs,
        parse_size,
        read_hyperparameters,
        terminate_like_interrupt,
    )

    terminate_like_interrupt()
    hyperparameters = (
        read_hyperparameters(Path(arguments.hyperparameters)) if arguments.hyperparameters else {}
    )
    job_plan = plan(
        TrainingJob(
            image=local_reference(arguments.image),
            channels=parse_channels(arguments.channel),
            hyperparameters={**hyperparameters, **parse_pairs("--hyperparameter", arguments.hyperparameter)},
            environment=parse_pairs("--environment", arguments.environment),
            name=arguments.job_name,
            isolated=arguments.network == "none",
            cpus=arguments.cpus,
            memory=parse_size(arguments.memory) if arguments.memory else None,
            jobs_dir=Path(arguments.output),
        )
    )
    if arguments.dry_run:
        print(job_plan.as_json() if arguments.json else job_plan.describe())
        return 0
    progress = sys.stderr if arguments.json else sys.stdout
    print(f"Training job {job_plan.job.name} in {job_plan.directory}/", file=progress, flush=True)
    result = execute(job_plan, on_line=lambda line: print(line, file=progress, flush=True))
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(result.as_json() if arguments.json else result.summary(), flush=True)
    return {"Completed": 0, "Failed": 1, "Stopped": 130}[result.status]
