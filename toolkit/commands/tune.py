"""`tune`: run a hyperparameter tuning job on this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.tuning_job import TuningJob

HELP = "Search for the best hyperparameters on this machine, as a SageMaker tuning job would."
LOCK = "requirements/tune.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The image, and what a CreateHyperParameterTuningJob request says."""
    parser.add_argument(
        "image", help="an image of this repository (ensemble-cpu), or any local image reference"
    )
    parser.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="NAME=RANGE",
        help="depth=4:10 (whole numbers), rate=0.01:0.3:log (also linear, reverse-log), booster=a,b,c "
        "(repeatable)",
    )
    parser.add_argument(
        "--objective", required=True, metavar="METRIC", help="a metric of the log, such as validation-rmse"
    )
    direction = parser.add_mutually_exclusive_group(required=True)
    direction.add_argument("--minimize", action="store_true", help="smaller is better")
    direction.add_argument("--maximize", action="store_true", help="larger is better")
    parser.add_argument(
        "--metric",
        metavar="NAME=REGEX",
        help="how the log is searched for the objective (default: name:value; and name=value;)",
    )
    parser.add_argument(
        "--channel", action="append", default=[], metavar="NAME=PATH[,TYPE]", help="as for train (repeatable)"
    )
    parser.add_argument(
        "--hyperparameter", action="append", default=[], metavar="NAME=VALUE", help="a fixed one (repeatable)"
    )
    parser.add_argument("--hyperparameters", metavar="FILE.json", help="a JSON object of fixed ones")
    parser.add_argument(
        "--environment", action="append", default=[], metavar="NAME=VALUE", help="(repeatable)"
    )
    parser.add_argument(
        "--strategy",
        choices=["Bayesian", "Random", "Grid", "Hyperband"],
        default="Bayesian",
        help="(Bayesian)",
    )
    parser.add_argument("--max-jobs", type=int, default=20, metavar="N", help="training jobs in all (20)")
    parser.add_argument("--parallel-jobs", type=int, default=1, metavar="N", help="at one time (1)")
    parser.add_argument(
        "--early-stopping", action="store_true", help="stop a job that is worse than the median of the others"
    )
    parser.add_argument("--min-resource", type=int, metavar="N", help="Hyperband: fewest epochs of a job")
    parser.add_argument("--max-resource", type=int, metavar="N", help="Hyperband: most epochs of a job")
    parser.add_argument("--max-failed", type=int, default=3, metavar="N", help="give up after so many (3)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the search (0)")
    parser.add_argument(
        "--warm-start-from",
        action="append",
        default=[],
        metavar="DIR",
        help="learn from an earlier tuning job: jobs/NAME (repeatable)",
    )
    parser.add_argument("--job-name", default="", metavar="NAME", help="default: the image and the time")
    parser.add_argument("--output", default="jobs", metavar="DIR", help="where its directory is made (jobs)")
    parser.add_argument(
        "--network", choices=["bridge", "none"], default="bridge", help="none: network isolation"
    )
    parser.add_argument(
        "--cpus", type=float, metavar="N", help="limit of one training job (default: an even share)"
    )
    parser.add_argument("--memory", metavar="SIZE", help="limit of one training job, such as 4g")
    parser.add_argument("--dry-run", action="store_true", help="print what would be searched and run")
    parser.add_argument("--json", action="store_true", help="print tuning.json; the rest goes to stderr")


def run(arguments: argparse.Namespace) -> int:
    """Plan and run the tuning job; 0 when it completed, 1 when it failed, 130 when Ctrl-C stopped it."""
    import json
    import sys

    from toolkit.options import terminate_like_interrupt
    from toolkit.tuning_job import plan

    job = plan(_describe(arguments))
    if arguments.dry_run:
        print(job.as_json() if arguments.json else job.describe())
        return 0

    from toolkit.bootstrap import install_extra

    install_extra(LOCK, "optuna", "rich")
    from toolkit.tuning import Tuner
    from toolkit.tuning_record import describe
    from toolkit.tuning_view import View

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

    from toolkit.channel_option import parse_channels
    from toolkit.images import local_reference
    from toolkit.options import parse_pairs, parse_size, read_hyperparameters
    from toolkit.training_job import TrainingJob
    from toolkit.tuning_job import TuningJob, parse_objective, parse_resources
    from toolkit.tuning_ranges import parse_range

    fixed = read_hyperparameters(Path(arguments.hyperparameters)) if arguments.hyperparameters else {}
    training = TrainingJob(
        image=local_reference(arguments.image),
        channels=parse_channels(arguments.channel),
        hyperparameters={**fixed, **parse_pairs("--hyperparameter", arguments.hyperparameter)},
        environment=parse_pairs("--environment", arguments.environment),
        isolated=arguments.network == "none",
        cpus=arguments.cpus,
        memory=parse_size(arguments.memory) if arguments.memory else None,
    )
    return TuningJob(
        training=training,
        objective=parse_objective(arguments.objective, arguments.minimize, arguments.metric),
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
