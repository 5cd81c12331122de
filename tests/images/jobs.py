"""Training jobs of a built-in algorithm under a temporary /opt/ml, for the tests that run inside an image."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import fastparquet
import numpy as np
import pandas as pd
from opt_ml.environment import Environment, read_environment


class Job:
    """A training job: files and hyperparameters in, model directory out.

    A family says in a class of its own what to call, and which hyperparameters keep its jobs short.
    """

    train: ClassVar[Callable[[Environment], None]]
    fast: ClassVar[Mapping[str, str]] = {}

    def __init__(self, base: Path) -> None:
        self.base = base
        self.channels: dict[str, dict[str, Any]] = {}

    def file(self, channel: str, name: str, content: str | bytes | pd.DataFrame, **settings: Any) -> Job:
        """Add a file: text and bytes as they are, a frame as CSV or Parquet by its name."""
        self.channels.setdefault(channel, {"TrainingInputMode": "File"}).update(settings)
        path = self.base / "input" / "data" / channel / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif name.endswith(".parquet"):
            fastparquet.write(str(path), content)
        else:
            content.to_csv(path, index=False)
        return self

    def environment(self, hyperparameters: Mapping[str, Any] | None = None, fast: bool = True) -> Environment:
        config = self.base / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        values = {**(self.fast if fast else {}), **(hyperparameters or {})}
        (config / "hyperparameters.json").write_text(json.dumps(values))
        (config / "inputdataconfig.json").write_text(json.dumps(self.channels))
        return read_environment(self.base)

    def run(self, hyperparameters: Mapping[str, Any] | None = None, fast: bool = True) -> Path:
        """Train; returns the model directory."""
        environment = self.environment(hyperparameters, fast)
        type(self).train(environment)
        return environment.model_dir

    @property
    def model(self) -> dict[str, Any]:
        return json.loads((self.base / "model" / "model.json").read_text())

    @property
    def metrics(self) -> dict[str, Any]:
        return json.loads((self.base / "model" / "metrics.json").read_text())


def mixed_rows() -> pd.DataFrame:
    """200 rows: numbers and texts with gaps, a constant; three labels."""
    rng = np.random.default_rng(7)
    rows = 200
    size = rng.normal(50, 10, rows)
    colour = rng.choice(["red", "green", "blue"], rows, p=[0.5, 0.3, 0.2])
    price = (
        2 * size
        + np.select([colour == "red", colour == "green"], [20.0, -20.0], 0.0)
        + rng.normal(0, 3, rows)
    )
    return pd.DataFrame(
        {
            "size": np.where(rng.random(rows) < 0.1, np.nan, size),
            "colour": np.where(rng.random(rows) < 0.1, None, colour),
            "code": rng.integers(1, 5, rows),
            "always": 1,
            "price": price,
            "dear": np.where(price > 100, "yes", "no"),
            "band": np.digitize(price, [90, 110]),
        }
    )
