"""How to exercise one image: hyperparameters, payloads and faults, read from `profiles/<name>.toml`.

The data is the same for every image: a table of numbers with the label in the last column, no header,
made with a fixed seed.
"""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

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
        long_hyperparameters: of a job that prints a line and then lasts much longer than a minute.
        faults: name -> wrong call of `train`.
        accept: media type of the answers.
        wrong_requests: name -> wrong request.
        metric: a name that the log of a job must hold.
        program: the user's training script, for an image without a built-in algorithm.
        differences: where its serving engine differs from the native one.
        script_mode: whether `train` runs the user's program where a job names one.
        handlers: whether `serve` uses the model's own code/inference.py.
        multi_model: whether the image serves many models in one container.
        sessions: whether handlers can keep sessions.
        bidirectional: whether handlers can talk on bidirectional streams.
        chats: whether handlers can answer chat completions.
    """

    hyperparameters: dict[str, str]
    long_hyperparameters: dict[str, str]
    faults: dict[str, Fault]
    accept: str
    wrong_requests: dict[str, Request]
    metric: str
    differences: list[Difference]
    program: Path | None = None
    script_mode: bool = False
    handlers: bool = False
    multi_model: bool = False
    sessions: bool = False
    bidirectional: bool = False
    chats: bool = False


def read_profile(name: str) -> Profile:
    """The profile `name`; FileNotFoundError with the names there are."""
    path = PROFILES / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(found.stem for found in PROFILES.glob("*.toml")))
        raise FileNotFoundError(f"There is no {path}. Name one of {known} with --profile, or write it.")
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    differences = [Difference(**row) for row in document.pop("differences", [])]
    if "like" in document:  # the rest is that of another image
        lacking = {row.lacks: False for row in differences if row.lacks}
        return replace(read_profile(document["like"]), differences=differences, **lacking)
    training, serving = document["training"], document["serving"]
    return Profile(
        hyperparameters=training["hyperparameters"],
        long_hyperparameters=training["long_hyperparameters"],
        faults={name: Fault(**fault) for name, fault in training["faults"].items()},
        accept=serving["accept"],
        wrong_requests={name: Request(**request) for name, request in serving["wrong_requests"].items()},
        metric=training["metric"],
        differences=differences,
        program=TRAINERS / training["program"] if "program" in training else None,
        script_mode=training.get("script_mode", False),
        handlers=serving.get("handlers", False),
        multi_model=serving.get("multi_model", False),
        sessions=serving.get("sessions", False),
        bidirectional=serving.get("bidirectional", False),
        chats=serving.get("chats", False),
    )


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


def payload(rows: int) -> bytes:
    """A request of `rows` rows, features only."""
    return csv_text([row[:FEATURES] for row in table(rows, seed=3)]).encode()


def large_payload(size: int) -> bytes:
    """A request of about `size` bytes, and not many rows: the numbers have a great many decimal zeros."""
    rows = -(-size // (FEATURES * LONGEST_FIELD))
    zeros = "0" * (size // (rows * FEATURES) - 8)
    return csv_text([[value + zeros for value in row[:FEATURES]] for row in table(rows, seed=3)]).encode()
