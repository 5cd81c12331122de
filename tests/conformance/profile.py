"""How to exercise one image: hyperparameters, payloads and faults, read from `profiles/<name>.toml`.

The data is the same for every image whose profile names none of its own: a table of numbers with the label
in the last column, no header, made with a fixed seed.
"""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest

PROFILES = Path(__file__).parent / "profiles"
TRAINERS = Path(__file__).parent / "trainers"
FEATURES = 4
LONGEST_FIELD = 100_000  # characters; Python's csv module takes 131,072


@dataclass(frozen=True)
class Fault:
    """One way to call `train` wrongly.

    Attributes:
        hyperparameters: added to the profile's own.
        last_row: appended to the train file.
        names: texts that the first line of the failure file must hold.
    """

    names: list[str]
    hyperparameters: dict[str, str] = field(default_factory=dict)
    last_row: str = ""


@dataclass(frozen=True)
class Request:
    """One wrong request to /invocations and the statuses that may answer it."""

    body: str
    content_type: str
    status: list[int]
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Difference:
    """Where an image is meant to differ, and cannot help it: the tests that show it must fail there.

    Attributes:
        tests: their names, with or without the parameters in brackets.
        reason: what decides it.
        lacks: a capability of the profile that is like it; of its tests only those named here are run.
        hangs: they wait for what never comes, and so have only seconds to do it.
    """

    tests: list[str]
    reason: str
    lacks: str = ""
    hangs: bool = False

    def names(self, item: pytest.Item) -> bool:
        """True for one of its tests."""
        return not {item.name, getattr(item, "originalname", "")}.isdisjoint(self.tests)


@dataclass(frozen=True)
class Profile:
    """What the suite needs to know about an image.

    Attributes:
        hyperparameters: of a job that lasts seconds.
        long_hyperparameters: of a job that prints a line and then lasts much longer than a minute; None
            where nobody knows any.
        faults: name -> wrong call of `train`.
        accept: media type of the answers; None leaves it to the image.
        wrong_requests: name -> wrong request.
        metric: a name that the log of a job must hold; empty where nobody knows one.
        program: the user's training script, for an image without a built-in algorithm.
        differences: where its serving engine differs from the native one.
        lacks: capability -> why it is not claimed.
        content_type: of the payloads.
        body: one request of the caller's own; None for rows of the table.
        records: whether each line of a request is one record, and of an answer, too.
        channels: name -> file or directory of the caller's own data; empty for the table.
        model: given by the caller, and not trained by the suite.
        python: whether there is a `python3` to ask a container that has no network.
        train: whether the image is there to train.
        serve: whether the image is there to serve.
        script_mode: whether `train` runs the user's program where a job names one.
        handlers: whether `serve` uses the model's own code/inference.py.
        pipeline: whether it can share a network with other containers, on a port of the platform's choice.
        multi_model: whether the image serves many models in one container.
        sessions: whether handlers can keep sessions.
        bidirectional: whether handlers can talk on bidirectional streams.
        chats: whether handlers can answer chat completions.
        log_level: whether lines about requests are left out where SAGEMAKER_CONTAINER_LOG_LEVEL wants errors.
        autogluon_handlers: whether handlers written for AutoGluon's image work in this one.
    """

    hyperparameters: dict[str, str] = field(default_factory=dict)
    long_hyperparameters: dict[str, str] | None = None
    faults: dict[str, Fault] = field(default_factory=dict)
    accept: str | None = None
    wrong_requests: dict[str, Request] = field(default_factory=dict)
    metric: str = ""
    differences: list[Difference] = field(default_factory=list)
    lacks: Mapping[str, str] = field(default_factory=dict)
    program: Path | None = None
    content_type: str = "text/csv"
    body: bytes | None = None
    records: bool = True
    channels: dict[str, Path] = field(default_factory=dict)
    model: Path | None = None
    python: bool = True
    train: bool = True
    serve: bool = True
    script_mode: bool = False
    handlers: bool = False
    pipeline: bool = True
    multi_model: bool = False
    sessions: bool = False
    bidirectional: bool = False
    chats: bool = False
    log_level: bool = False
    autogluon_handlers: bool = True

    @property
    def channel(self) -> str:
        """The channel that the algorithm trains on."""
        return next(iter(self.channels), "train")

    def payload(self, records: int) -> bytes:
        """A good request of so many records; the caller's own, where it has no records, as it is."""
        if self.body is None:
            return csv_text([row[:FEATURES] for row in table(records, seed=3)]).encode()
        if not self.records:
            return self.body
        lines = [line + b"\n" for line in self.body.splitlines() if line.strip()]
        return b"".join(lines[number % len(lines)] for number in range(records))

    def large_payload(self, size: int) -> bytes:
        """A good request of about `size` bytes, and of the table's own not many rows."""
        if self.body is None:
            return large_payload(size)
        if not self.records:
            return self.body + b" " * (size - len(self.body))  # JSON takes any space after it
        one = self.payload(1000)
        return one * max(1, size // len(one))

    @property
    def growable(self) -> bool:
        """Whether a request can be made as large as one likes, and stays a good one."""
        return self.body is None or self.records or "json" in self.content_type

    def answers(self, text: str, records: int) -> bool:
        """True where an answer has one record for each of the request."""
        return not self.records or len(text.split()) == records


def read_profile(name: str) -> Profile:
    """The profile `name`, or that of a file; FileNotFoundError with the names there are."""
    path = Path(name) if name.endswith((".toml", ".json")) else PROFILES / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(found.stem for found in PROFILES.glob("*.toml")))
        raise FileNotFoundError(f"There is no {path}. Name one of {known} with --profile, or write it.")
    text = path.read_text(encoding="utf-8")
    return _profile_of(json.loads(text) if path.suffix == ".json" else tomllib.loads(text), path.parent)


def _profile_of(document: Mapping[str, Any], folder: Path) -> Profile:
    training, serving = document.get("training", {}), document.get("serving", {})
    values = {**training, **serving, **_converted({**training, **serving}, folder)}
    if "differences" in document:
        differences = [Difference(**row) for row in document["differences"]]
        values |= {"differences": differences, **{row.lacks: False for row in differences if row.lacks}}
    if "lacks" in document:
        values["lacks"] = document["lacks"]
    if unknown := sorted(set(values) - {one.name for one in fields(Profile)}):
        raise ValueError(f"a profile has no {unknown[0]}; see the class Profile of tests/conformance")
    if "like" in document:  # the rest is that of another image
        return replace(read_profile(document["like"]), **values)
    return Profile(**values)


def _converted(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Those values of a document that are more than text and numbers; its paths are below its own folder."""
    convert: dict[str, Callable[[Any], Any]] = {
        "faults": lambda faults: {name: Fault(**fault) for name, fault in faults.items()},
        "wrong_requests": lambda requests: {name: Request(**one) for name, one in requests.items()},
        "channels": lambda channels: {name: folder / path for name, path in channels.items()},
        "program": lambda program: TRAINERS / program,
        "model": lambda path: folder / path,
        "body": lambda path: (folder / path).read_bytes(),
    }
    return {name: convert[name](value) for name, value in values.items() if name in convert}


def table(rows: int, seed: int) -> list[list[str]]:
    """`rows` rows of four features and a label that depends on them."""
    source = random.Random(seed)
    made = []
    for _ in range(rows):
        features = [source.gauss(0, 1) for _ in range(FEATURES)]
        label = 3 * features[0] - 2 * features[1] + features[2] ** 2 + source.gauss(0, 0.1)
        made.append([f"{value:.4f}" for value in (*features, label)])
    return made


def csv_text(rows: list[list[str]]) -> str:
    """The rows as CSV without a header."""
    return "".join(",".join(row) + "\n" for row in rows)


def large_payload(size: int) -> bytes:
    """A request of about `size` bytes, and not many rows: the numbers have a great many decimal zeros."""
    rows = -(-size // (FEATURES * LONGEST_FIELD))
    zeros = "0" * (size // (rows * FEATURES) - 8)
    return csv_text([[value + zeros for value in row[:FEATURES]] for row in table(rows, seed=3)]).encode()
