"""`tune`: run a hyperparameter tuning job on this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.tuning_jobs.tuning_job import TuningJob

HELP = "Search for the best hyperparameters on this machine, as a SageMaker tuning job would."
LOCK = "requirements/tune.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a CreateHyperParameterTuningJob request says; the training job as `train` takes it."""
    from toolkit.commands import train

    _add_search(parser.add_argument_group("the search"))
    train.add_job_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be searched and run")
    parser.add_argument("--json", action="store_true", help="print tuning.json; the rest goes to stderr")


def _add_search(group: Any) -> None:
    add = group.add_argument
    add(
        "--range",
        action="append",
        default=[],
        metavar="NAME=RANGE",
        help="depth=4:10 (whole numbers), rate=0.01:0.3:log (also linear, reverse-log), booster=a,b,c "
        "(repeatable)",
    )
    add(
        "--objective",
        required=True,
        metavar="METRIC",
        help="a metric of the log, such as validation-rmse; --metric says how to find one of another form",
    )
    direction = group.add_mutually_exclusive_group(required=True)
    direction.add_argument("--minimize", action="store_true", help="smaller is better")
    direction.add_argument("--maximize", action="store_true", help="larger is better")
    add("--strategy", choices=["Bayesian", "Random", "Grid", "Hyperband"], default="Bayesian")
    add("--max-jobs", type=int, default=20, metavar="N", help="training jobs in all (20)")
    add("--parallel-jobs", type=int, default=1, metavar="N", help="at one time, sharing the CPUs (1)")
    add(
        "--early-stopping", action="store_true", help="stop jobs that are worse than the median of the others"
    )
    add("--min-resource", type=int, metavar="N", help="Hyperband: fewest values of the objective of a job")
    add("--max-resource", type=int, metavar="N", help="Hyperband: most values of the objective of a job")
    add("--max-failed", type=int, default=3, metavar="N", help="give up after so many failed jobs (3)")
    add("--seed", type=int, default=0, metavar="N", help="of the search (0)")
    add(
        "--warm-start-from",
        action="append",
        default=[],
        metavar="DIR",
        help="learn from an earlier tuning job: jobs/NAME (repeatable)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Plan and run the tuning job; 0 when it completed, 1 when it failed, 130 when Ctrl-C stopped it."""
    import json
    import sys

    from toolkit.interrupts import terminate_like_interrupt
    from toolkit.tuning_jobs.tuning_job import plan

    job = plan(_describe(arguments))
    if arguments.dry_run:
        print(job.as_json() if arguments.json else job.describe())
        return 0

    from toolkit.bootstrap import install_extra

    install_extra(LOCK, "optuna", "rich")
    from toolkit.tuning_jobs.tuning import Tuner
    from toolkit.tuning_jobs.tuning_record import describe
    from toolkit.tuning_jobs.tuning_view import View

    terminate_like_interrupt()
    progress = sys.stderr if arguments.json else sys.stdout
    print(f"Tuning job {job.name} in {job.directory}/", file=progress, flush=True)
    with View(progress) as view:
        tuning = Tuner(job, view.update).run()
    view.close(tuning)
    if arguments.json:
        print(json.dumps(describe(tuning), indent=2))
    return {"Completed": 0, "Stopped": 130}.get(tuning.status, 1)


def _describe(arguments: argparse.Namespace) -> TuningJob:
    from pathlib import Path

    from toolkit.commands import train
    from toolkit.tuning_jobs.tuning_job import Objective, TuningJob, parse_resources
    from toolkit.tuning_jobs.tuning_ranges import parse_range

    return TuningJob(
        training=train.job_of(arguments),
        objective=Objective(arguments.objective, arguments.minimize),
        ranges=tuple(parse_range(text) for text in arguments.range),
        name=arguments.job_name,
        strategy=arguments.strategy,
        max_jobs=arguments.max_jobs,
        parallel_jobs=arguments.parallel_jobs,
        early_stopping=arguments.early_stopping,
        resources=parse_resources(arguments.min_resource, arguments.max_resource),
        seed=arguments.seed,
        max_failed=arguments.max_failed,
        parents=tuple(Path(text) for text in arguments.warm_start_from),
        jobs_dir=Path(arguments.output),
    )
