"""Training that goes on from an earlier model: the channel `model` (TRAIN-63, TRAIN-64).

The columns, categories and classes are those of the earlier model: its trees know no others. CatBoost and
XGBoost go on with so many rounds more; the scikit-learn models are trained anew, and so is the blend.

An earlier model must not be measured on rows that it has learned from. Files that it was trained on are
known by their sha256:

- No file of the train channel is among them: every fold goes on from the earlier model.
- One is: the folds are trained from the beginning, with as many rounds as the earlier model and this job
  have together. They find rounds, blend and metrics; the model that is served goes on from the earlier one.
- Rows that one model both learned from and would be measured on (`validation`, or a split) end the job.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from opt_ml.environment import Channel
from opt_ml.errors import UserError
from opt_ml.nearest import nearest
from opt_ml.tables.columns import find_column, find_label
from opt_ml.tables.files import Rows, as_categories
from opt_ml.tables.text import category, quoted

from opt_ml_ensemble.bundle import Bundle, load_bundle
from opt_ml_ensemble.models import Model
from opt_ml_ensemble.schema import Schema
from opt_ml_ensemble.settings import Settings

CHANNEL = "model"


@dataclass(frozen=True)
class Earlier:
    """The model to go on from.

    Attributes:
        bundle: as it would be served.
        job: the name of the job that trained it; may be empty.
        files: the sha256 of every file that it and the models before it were trained on.
        sha256: of the model's own files.
    """

    bundle: Bundle
    job: str
    files: frozenset[str]
    sha256: str

    def model(self, name: str) -> Model | None:
        """The earlier model of that name if training can go on from it."""
        model = self.bundle.models.get(name)
        return model if model is not None and model.continues else None

    def has_seen(self, rows: Rows) -> str:
        """The name of a file of this channel that the model was trained on; empty if there is none."""
        return next((source.path.name for source in rows.sources if source.sha256 in self.files), "")


def read_earlier(channel: Channel) -> Earlier:
    """The model in the channel: model.tar.gz as a job's output has it, or its files.

    Raises:
        UserError: there is no model, or it is broken or unsafe to unpack.
    """
    with _unpacked(channel) as directory:
        bundle = load_bundle(directory)
        content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        digest = hashlib.sha256()
        for path in sorted(directory.iterdir()):
            if path.is_file():
                digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    files = {str(file["sha256"]) for file in content.get("channels", {}).get("train", [])}
    files |= set(content.get("incremental", {}).get("files", []))
    earlier = Earlier(bundle, str(content.get("job", "")), frozenset(files), digest.hexdigest())
    rounds = ", ".join(f"{name} {m.rounds} rounds" for name, m in bundle.models.items() if m.continues)
    print(f"Channel {channel.name}: goes on from a model of {rounds or 'nothing that can be continued'}.")
    return earlier


@contextmanager
def _unpacked(channel: Channel) -> Iterator[Path]:
    if channel.input_mode == "Pipe":
        raise UserError(f"The channel {channel.name} is in Pipe mode. Use File mode.")
    directory = channel.directory
    if (directory / "model.json").is_file():
        yield directory
        return
    archives = [path for path in channel.files() if path.name.endswith((".tar.gz", ".tgz", ".tar"))]
    if len(archives) != 1:
        found = ", ".join(path.name for path in (archives or channel.files())[:5]) or "nothing"
        raise UserError(
            f"The channel {channel.name} must hold one model.tar.gz, or the files in it with model.json at "
            f"the top, but holds {found}. Give it the model of a job of this image."
        )
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        _extract(archives[0], Path(scratch))
        yield Path(scratch)


def _extract(archive: Path, target: Path) -> None:
    """Regular files and directories below `target`, and nothing else."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                    raise UserError(
                        f"{archive} holds {quoted(member.name)}, which is a link, a device or outside of the "
                        "model. Give the model.tar.gz as a job of this image wrote it."
                    )
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None:
                    (target / path).parent.mkdir(parents=True, exist_ok=True)
                    with content, (target / path).open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(
            f"{archive} cannot be unpacked ({error}). Give the model.tar.gz as a job of this image wrote it."
        ) from None


def schema_for(earlier: Earlier, rows: Rows, settings: Settings) -> Schema:
    """The earlier model's columns and classes, once the rows of the train channel fit them.

    The weight column is this job's own. A category that the earlier model has not seen counts as missing, as
    it does when serving, and is told.

    Raises:
        UserError: another label, task, column or class, by name.
    """
    schema = earlier.bundle.schema
    wanted = settings["label"]
    present = [str(name) for name in rows.frame.columns]
    label = schema.label if wanted is None and schema.label in present else find_label(rows, wanted)
    if label != schema.label:
        raise UserError(
            f"The label is {label!r}, but that of the earlier model is {schema.label!r}. Name it so."
        )
    if settings.task not in (None, schema.task):
        raise UserError(
            f"objective is {settings['objective']}, but the earlier model is of a {schema.task} task. "
            "Leave objective out, or train anew without the channel model."
        )
    asked = settings["weight_column"]
    weight = find_column(rows, asked, "weight_column") if asked else None
    _check_columns(schema, [name for name in present if name not in (label, weight)])
    _check_classes(schema, rows)
    _tell_new_categories(schema, rows)
    return replace(schema, weight=weight)


def _check_columns(schema: Schema, present: list[str]) -> None:
    known = {feature.name: feature for feature in schema.features}
    for feature in schema.used:
        if feature.name not in present:
            hint = nearest(feature.name, [name for name in present if name not in known])
            raise UserError(
                f"The train channel has no column {feature.name!r}, which the earlier model uses.{hint} "
                "Add it, or train anew without the channel model."
            )
    for name in present:
        if name not in known:
            raise UserError(
                f"The train channel has a column {name!r}, which the earlier model does not know. "
                "Leave it out, or train anew without the channel model."
            )


def _check_classes(schema: Schema, rows: Rows) -> None:
    if not schema.classes:
        return
    known = {category(value) for value in schema.classes}
    column = rows.frame[schema.label]
    for row in np.flatnonzero(column.notna().to_numpy()):
        if category(column.iloc[row]) not in known:
            raise UserError(
                f"{rows.where(int(row))}: the label {schema.label!r} is {quoted(column.iloc[row])}, a class "
                f"that the earlier model does not have. Its classes are: "
                f"{', '.join(map(str, schema.classes[:20]))}. Train anew without the channel model."
            )


def _tell_new_categories(schema: Schema, rows: Rows) -> None:
    for feature in schema.used:
        if feature.kind != "category":
            continue
        new = sorted(set(as_categories(rows.frame[feature.name]).dropna()) - set(feature.categories))
        if new:
            shown = ", ".join(map(repr, new[:5])) + (", ..." if len(new) > 5 else "")
            print(
                f"Column {feature.name!r} has {len(new)} values that the earlier model has not seen "
                f"({shown}): they count as missing."
            )


def check_unseen(earlier: Earlier, rows: Mapping[str, Rows], settings: Settings) -> None:
    """See to it that what measures a model is not what it has learned from.

    Raises:
        UserError: the validation rows, or those that would be split off, were in an earlier train channel.
    """
    where, seen = "validation", ""
    if "validation" in rows:
        seen = earlier.has_seen(rows["validation"])
    elif settings["k_fold"] < 2 or settings["validation_fraction"]:
        where, seen = "train", earlier.has_seen(rows["train"])
    if seen:
        raise UserError(
            f"{where}/{seen} was in the train channel of the earlier model, which would be measured on rows "
            "that it has learned from. Give a channel validation of other rows"
            + ("." if where == "validation" else ", or set k_fold and leave validation_fraction out.")
        )


def facts(earlier: Earlier, rows: Rows, models: tuple[str, ...]) -> dict[str, Any]:
    """What metrics.json and model.json tell of where the training began."""
    continued = {name: model.rounds for name in models if (model := earlier.model(name)) is not None}
    return {
        "job": earlier.job,
        "rounds": continued,
        "anew": [name for name in models if name not in continued],
        "folds": "anew" if earlier.has_seen(rows) else "continued",
        "files": sorted(earlier.files),
    }
