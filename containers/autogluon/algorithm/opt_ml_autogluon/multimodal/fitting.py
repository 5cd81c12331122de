"""AutoGluon's fit of a network as a job needs it: stopped at any time, gone on with, failing with a cause."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from autogluon.multimodal import MultiModalPredictor
from autogluon.multimodal.models.utils import create_fusion_model
from opt_ml.errors import UserError
from opt_ml.training import stopping
from opt_ml.training.checkpoints import Checkpoints
from opt_ml.training.metric_lines import print_metrics

from opt_ml_autogluon import fits
from opt_ml_autogluon.multimodal.channels import Data
from opt_ml_autogluon.multimodal.settings import Settings

_TICK = 0.2  # seconds
LEAST_SECONDS = 10.0  # for a job that goes on when its time is nearly up
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only measured
ENOUGH_SHARED_MEMORY = 1 << 30  # bytes for processes that load images beside the one that trains


@dataclass(frozen=True)
class Fitted(fits.Fitted[MultiModalPredictor]):
    """A fitted network.

    Attributes:
        epochs: the deciding metric on the validation rows, after each epoch.
    """

    epochs: list[float]


class Epochs(pl.Callback):  # type: ignore[misc]
    """Told by Lightning of each step and epoch: metric lines, checkpoints, and the stop of a job.

    With several GPUs each one has a process of its own with a copy of this, so that what they tell each other
    lies in files.

    Args:
        checkpoints: None for a job that keeps none.
        scratch: a folder for these files, and for a checkpoint on its way.
    """

    def __init__(self, checkpoints: Checkpoints | None, scratch: Path) -> None:
        self._checkpoints = checkpoints
        self._path = scratch / "epoch.ckpt"
        self._stop = scratch / "stop"
        self._scores = scratch / "scores.json"
        self._started = time.monotonic()
        self.restored: Path | None = None
        self.earlier_seconds = 0.0
        found = checkpoints.load("epoch") if checkpoints else None
        if found is not None:
            self.restored = scratch / "restored.ckpt"
            self.restored.write_bytes(found.files["epoch.ckpt"])
            self.earlier_seconds = float(found.facts["seconds"])
            self._scores.write_text(json.dumps(found.facts["scores"]))
            print(f"Goes on after epoch {found.facts['epoch'] + 1}, from its checkpoint.", flush=True)

    @property
    def scores(self) -> list[float]:
        """The deciding metric after each epoch so far."""
        found: list[float] = json.loads(self._scores.read_text()) if self._scores.exists() else []
        return found

    @contextmanager
    def listening(self) -> Iterator[None]:
        """In this block a signal for this process reaches those that fit."""
        over = threading.Event()

        def tell() -> None:
            while not over.wait(_TICK):
                if stopping.requested():
                    self._stop.touch()
                    return

        threading.Thread(target=tell, daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Lightning takes SIGTERM for itself: take it back."""
        stopping.install()

    def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
        """Where a job that was told to stop ends its fit: AutoGluon makes a model of what there is."""
        is_told = stopping.requested() or self._stop.exists()
        # All processes after the same step: one that went on would wait for the others forever.
        if trainer.strategy.reduce_boolean_decision(is_told, all=False):
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """After the validation of an epoch."""
        name = module.validation_metric_name
        if name in trainer.callback_metrics and trainer.is_global_zero:
            scores = [*self.scores, float(trainer.callback_metrics[name])]
            self._scores.write_text(json.dumps(scores))
            print_metrics("validation", {f"epoch-{name.removeprefix('val_')}": scores[-1]})
        if self._checkpoints is None:
            return
        trainer.save_checkpoint(str(self._path))
        if trainer.is_global_zero:
            spent = self.earlier_seconds + time.monotonic() - self._started
            facts = {"epoch": trainer.current_epoch, "seconds": spent, "scores": self.scores}
            self._checkpoints.save("epoch", facts, {"epoch.ckpt": self._path.read_bytes()})


def fit(
    data: Data,
    settings: Settings,
    network: Mapping[str, Any],
    directory: Path,
    checkpoints: Checkpoints | None,
) -> Fitted:
    """Fit a network in `directory`, which does not exist.

    To be called within `stopping.deferred()`.

    Args:
        data: the job's rows.
        settings: the job's.
        network: as `choose_network` returns it.
        directory: for AutoGluon's files.
        checkpoints: None for a job that keeps none.

    Raises:
        UserError: AutoGluon refuses the arguments, or the time was too short for one step.
        Stopped: the job was stopped before there was a model.
    """
    started = time.monotonic()
    stopping.check()
    epochs = Epochs(checkpoints, directory.parent)
    limit = settings["time_limit"]
    if limit is not None:
        limit = max(limit - epochs.earlier_seconds, LEAST_SECONDS)
    with fits.refusals(KeyError), epochs.listening():
        predictor = MultiModalPredictor(
            label=data.label,
            problem_type=data.problem_type,
            presets=settings["presets"],
            eval_metric=None if settings["eval_metric"] == "auto" else settings["eval_metric"],
            path=str(directory),
            pretrained=settings["pretrained"],
            verbosity=settings["verbosity"],
            enable_progress_bar=False,
        )
        _listen(predictor, epochs)
        if not settings["pretrained"]:
            _begin_with_random_weights(predictor)
        predictor.fit(
            data.frames["train"],
            tuning_data=data.frames["validation"],
            column_types=dict(data.kinds),
            hyperparameters={**_machine(settings), **network},
            time_limit=limit,
            seed=settings["seed"],
        )
    if not (directory / "model.ckpt").exists():
        stopping.check()
        raise UserError("AutoGluon made no step. Give it more time by time_limit, or more rows.")
    seconds = epochs.earlier_seconds + time.monotonic() - started
    return Fitted(predictor, not stopping.requested(), seconds, epochs.scores)


def _machine(settings: Settings) -> dict[str, Any]:
    """What AutoGluon takes of this machine: its GPUs, and processes to load images with."""
    counted = os.environ.get("SM_NUM_GPUS", "")
    gpus = min(int(counted), torch.cuda.device_count()) if counted.isdigit() else torch.cuda.device_count()
    if settings["num_gpus"] is not None:
        gpus = min(gpus, settings["num_gpus"])
    found: dict[str, Any] = {"env.num_gpus": gpus, "env.num_workers_inference": 0}
    shared = os.statvfs(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
    if shared is None or shared.f_frsize * shared.f_bavail < ENOUGH_SHARED_MEMORY:
        found["env.num_workers"] = (
            0  # containers have 64 MB by default, and a process that needs more is killed
        )
    if not gpus:
        found["env.precision"] = 32
    return found


def _listen(predictor: MultiModalPredictor, epochs: Epochs) -> None:
    """AutoGluon takes no callbacks of others, nor a checkpoint without its own directory beside it."""
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)
    learner = predictor._learner
    callbacks, run, plugins = learner.get_callbacks_per_run, learner.run_trainer, learner.get_plugins_per_run

    def with_ours(*arguments: Any, **named: Any) -> list[Any]:
        found = list(callbacks(*arguments, **named))
        return [*found, epochs] if named.get("is_train", True) else found

    def from_checkpoint(*arguments: Any, **named: Any) -> Any:
        if named.get("is_train", True) and epochs.restored is not None:
            named.update(ckpt_path=str(epochs.restored), resume=True)
            # What AutoGluon makes the model of where no further epoch is left.
            shutil.copyfile(epochs.restored, Path(predictor.path) / "last.ckpt")
        return run(*arguments, **named)

    def loading(*arguments: Any, **named: Any) -> list[Any]:
        found: list[Any] = list(plugins(*arguments, **named))
        for plugin in found:
            plugin.load_checkpoint = partial(_load_checkpoint, plugin.load_checkpoint)
        return found

    learner.get_callbacks_per_run, learner.run_trainer = with_ours, from_checkpoint
    if epochs.restored is not None:
        learner.get_plugins_per_run = loading


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    """Lightning recommends its platform before each fit and prediction."""
    return "try installing [lit" not in record.getMessage()


def _load_checkpoint(
    load: Callable[..., Any], path: Any, map_location: Any = None, weights_only: bool | None = None
) -> Any:
    """AutoGluon 1.6 loads without an argument that Lightning 2.6 gives."""
    return load(path, map_location)


def _begin_with_random_weights(predictor: MultiModalPredictor) -> None:
    """What its argument `pretrained=False` says; the fit of AutoGluon 1.6 does not look at it."""
    learner = predictor._learner

    def network(model: Any, config: Any, df_preprocessor: Any) -> Any:
        return create_fusion_model(
            config=config,
            pretrained=False,
            num_classes=learner._output_shape,
            num_numerical_columns=len(df_preprocessor.numerical_feature_names),
            num_categories=df_preprocessor.categorical_num_categories,
            numerical_fill_values=df_preprocessor.numerical_fill_values,
        )

    learner.get_model_per_run = network
