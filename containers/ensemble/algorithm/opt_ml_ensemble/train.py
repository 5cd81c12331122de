"""The built-in trainer: from a job's channels and hyperparameters to a model directory.

The order of things: read, describe, cross-validate, fit on all rows, blend, measure, report, save.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opt_ml.environment import Channel, Environment
from opt_ml.errors import UserError
from opt_ml.nearest import nearest
from opt_ml.resources import usable_cpus
from opt_ml.tables.files import Rows, read_channel
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints
from opt_ml.training.staging import staged_model

from opt_ml_ensemble.boosting import LocalRounds
from opt_ml_ensemble.bundle import save_bundle
from opt_ml_ensemble.compiled.export import compile_model
from opt_ml_ensemble.dataset import build_schema, encode
from opt_ml_ensemble.description import write_json
from opt_ml_ensemble.fitting import Start
from opt_ml_ensemble.hosts.member import follow
from opt_ml_ensemble.hosts.team import Team
from opt_ml_ensemble.incremental import Earlier, check_unseen, facts, read_earlier, schema_for
from opt_ml_ensemble.metrics import ranking_metric
from opt_ml_ensemble.models import Problem
from opt_ml_ensemble.progress import Progress, identity
from opt_ml_ensemble.report.page import write_report
from opt_ml_ensemble.schema import Data, Schema
from opt_ml_ensemble.settings import Settings
from opt_ml_ensemble.trainer import Outcome, train_ensemble

CHANNELS = ("train", "training", "validation", "test", "model")
FEWEST_ROWS = 6


def train(environment: Environment) -> None:
    """Run a training job (the image's `opt_ml.train`).

    Raises:
        UserError: data or hyperparameters that do not fit, with the cause and the cure in one line.
        Stopped: the job was told to stop; what could be served is in the model directory (TRAIN-95).
    """
    started = time.monotonic()
    settings = Settings.read(environment.hyperparameters, environment.raw_hyperparameters)
    if not environment.is_leader:
        # Two hosts would write one model (TRAIN-74).
        follow(environment, settings["host_timeout"], "xgboost" in settings["models"])
        return
    for name in sorted(settings.given):
        model = name.partition(".")[0]
        if "." in name and model not in settings["models"]:
            print(f"{name} has no effect: {model} is not among the models of this job.")
    with ExitStack() as hosts:
        team = None
        if len(environment.hosts) > 1:
            boosts = "xgboost" in settings["models"]
            team = hosts.enter_context(Team(environment, settings["host_timeout"], boosts))
        job = read_job(environment, settings, team)
        describe(job)
        problem = Problem(
            job.schema.task,
            len(job.schema.classes),
            len(job.schema.used),
            job.schema.categorical,
            settings["seed"],
            settings["nthread"] or usable_cpus(),
            settings["early_stopping_rounds"],
            team.boost if team else LocalRounds,
        )
        metric = ranking_metric(job.schema.task, settings["eval_metric"])
        progress = _progress(environment, settings, job)
        with stopping.deferred():
            if team:
                team.watch()
            outcome = train_ensemble(
                job.schema,
                settings,
                problem,
                metric,
                job.train,
                job.validation,
                job.test,
                progress,
                job.start,
            )
            if team:
                team.unwatch()
            if job.earlier:
                outcome.metrics["incremental"] = facts(job.earlier, job.rows["train"], settings["models"])
            _write(environment, settings, job, outcome)
    if "stopped" in outcome.metrics:
        raise stopping.Stopped
    print(f"Done in {time.monotonic() - started:.1f} s.")


def _progress(environment: Environment, settings: Settings, job: Job) -> Progress:
    """Where an interrupted run of the same job came to, if the job has a checkpoint directory (TRAIN-92)."""
    parts = identity(settings, job.schema, {"train": job.train, "validation": job.validation})
    if job.earlier:
        # The same rows in another file are rows that the earlier model has not seen: see `Job.start`.
        parts["earlier model"] = {"sha256": job.earlier.sha256, "folds anew": job.start.folds_anew}
    checkpoints = Checkpoints.open(environment, "ensemble", parts)
    return Progress(checkpoints, settings["checkpoint_seconds"])


@dataclass(frozen=True)
class Job:
    """The rows of a job, ready to train on.

    Attributes:
        rows: by channel, as they were read.
        validation, test: None where the job has no such channel.
        earlier: the model to go on from, of the channel model; else None.
    """

    rows: dict[str, Rows]
    schema: Schema
    train: Data
    validation: Data | None
    test: Data | None
    earlier: Earlier | None = None

    @property
    def start(self) -> Start:
        """Where the models begin, for the folds and for those that are served."""
        if self.earlier is None:
            return Start()
        seen = self.earlier.has_seen(self.rows["train"])
        return Start(self.earlier.model, folds_anew=bool(seen))


def read_job(environment: Environment, settings: Settings, team: Team | None = None) -> Job:
    """Read every channel of a job, on whatever hosts its files are.

    Raises:
        UserError: no train channel, an unknown one, or data that does not fit.
    """
    channels = {"train" if name == "training" else name: c for name, c in environment.channels.items()}
    _check_channels(environment)
    earlier = None
    if "model" in channels and _is_here(channels["model"]):
        earlier = read_earlier(channels["model"])
    known = earlier.bundle.schema if earlier else None
    rows = {"train": _read(channels["train"], settings, known, team)}
    schema = (
        schema_for(earlier, rows["train"], settings) if earlier else build_schema(rows["train"], settings)
    )
    data = {"train": encode(rows["train"], schema)}
    if len(data["train"]) < FEWEST_ROWS:
        what = "a label and a weight above 0" if schema.weight else "a label"
        raise UserError(
            f"The train channel has {len(data['train'])} rows with {what}; it needs at least {FEWEST_ROWS}."
        )
    if schema.task == "regression" and (data["train"].label == data["train"].label[0]).all():
        raise UserError(
            f"The label {schema.label!r} has the same value in every row that has a weight; there is nothing "
            "to learn."
        )
    for name in ("validation", "test"):
        if name in channels and (team.has(channels[name]) if team else _is_here(channels[name])):
            rows[name] = _read(channels[name], settings, schema, team)
            rows[name] = _with_names(rows[name], rows["train"])
            data[name] = encode(rows[name], schema)
    if earlier:
        check_unseen(earlier, rows, settings)
    return Job(rows, schema, data["train"], data.get("validation"), data.get("test"), earlier)


def _read(channel: Channel, settings: Settings, schema: Schema | None, team: Team | None) -> Rows:
    label = schema.label if schema else settings["label"]
    return read_channel(channel, settings["header"], label, team.objects(channel) if team else None)


def _with_names(rows: Rows, train: Rows) -> Rows:
    """The train channel's names for a channel without any: the same columns in the same order."""
    if rows.named or not train.named or rows.frame.shape[1] != train.frame.shape[1]:
        return rows
    return Rows(rows.channel, rows.frame.set_axis(train.frame.columns, axis=1), rows.sources, True)


def _check_channels(environment: Environment) -> None:
    names = sorted(environment.channels)
    if "train" in names and "training" in names:
        raise UserError("The job has a channel train and a channel training. Give one of them.")
    if not {"train", "training"} & set(names):
        found = f"no channel train, only {', '.join(names)}" if names else "no channels"
        raise UserError(f"The job has {found}. Add a channel train with CSV or Parquet files.")
    for name in names:
        if name in CHANNELS:
            continue
        meant = nearest(name, CHANNELS)
        if meant:
            raise UserError(
                f"Unknown channel {name!r}.{meant} Channels are train, validation, test and model."
            )
        # Other programs add channels of their own, as the SageMaker SDK does for scripts (V3-10, V3-11).
        print(f"Channel {name} is not used: channels are train, validation, test and model.")


def _is_here(channel: Channel) -> bool:
    """False for a channel that this host was not given (TRAIN-45, TRAIN-46)."""
    if channel.input_mode == "Pipe" or channel.directory.is_dir():
        return True
    print(f"Channel {channel.name} is not used: it has no directory on this host.")
    return False


def describe(job: Job) -> None:
    """Say in the log what was understood, so that a wrong guess is seen at once."""
    schema = job.schema
    for rows in job.rows.values():
        files = len(rows.sources)
        print(f"Channel {rows.channel}: {len(rows.frame)} rows in {files} file{'s' * (files > 1)}.")
    categories = len(schema.categorical)
    numbers = len(schema.used) - categories
    kinds = f"{numbers} of numbers, {categories} of categories"
    task: str = schema.task
    if schema.classes:
        shown = ", ".join(map(str, schema.classes[:10])) + (", ..." if len(schema.classes) > 10 else "")
        task = f"{task} ({shown})"
    print(f"Label {schema.label!r}: {task}. {len(schema.used)} columns in use: {kinds}.")
    for feature in schema.features:
        if feature.kind == "unused":
            print(f"Column {feature.name!r} is not used: {feature.note}.")


def _write(environment: Environment, settings: Settings, job: Job, outcome: Outcome) -> None:
    """Model, metrics and report, in the model directory and (the last two) in output/data (TRAIN-73)."""
    content: dict[str, Any] = {
        "hyperparameters": {name: value for name, value in settings.values.items() if value is not None},
        "channels": {name: _files(rows) for name, rows in job.rows.items()},
        "job": environment.job_name,
        **{name: outcome.metrics[name] for name in ("stopped", "incremental") if name in outcome.metrics},
    }
    with staged_model(environment.model_dir) as staging:
        save_bundle(outcome.bundle, staging, content)
        if settings["exact"] == "false":
            print(compile_model(outcome.bundle, staging, job.train.matrix).line, flush=True)
        write_json(staging / "metrics.json", outcome.metrics)
        write_report(staging / "report.html", outcome, job.rows, environment.job_name)
        _copy_reports(staging, environment.output_data_dir)
        size = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file()) / 1e6
    print(f"Model ({size:.1f} MB) in {environment.model_dir}, report.html and metrics.json beside it.")


def _copy_reports(staging: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in ("metrics.json", "report.html"):
        shutil.copyfile(staging / name, target / name)


def _files(rows: Rows) -> list[dict[str, Any]]:
    return [
        {"file": source.path.name, "rows": source.rows, "sha256": source.sha256} for source in rows.sources
    ]
