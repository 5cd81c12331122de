"""The walk of `make demo`: image, data, training job, endpoint, predictions beside the truth."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.building import builder, images
from toolkit.building.plan import make_plan
from toolkit.errors import ToolkitError, WorkError
from toolkit.jobs import job, measured_job
from toolkit.machine.containers import engine
from toolkit.machine.run_spec import Bind, RunSpec
from toolkit.serving.endpoint import Endpoint

IMAGE = "ensemble-cpu"
EXAMPLE = images.ROOT / "examples" / "diabetes"
# An /opt/ml as the container sees it, so that the plain `docker run` lines at the end work as they stand.
DIRECTORY = Path("jobs/demo")
HYPERPARAMETERS = {"label": "progression"}
SHOWN = 5


@dataclass(frozen=True)
class HeldOut:
    """Patients that no model has seen: their features as CSV lines, and the true label of each."""

    header: str
    rows: Sequence[str]
    truth: Sequence[float]

    def payload(self) -> bytes:
        """All rows as a CSV body with a header."""
        return "\n".join([self.header, *self.rows, ""]).encode()


def show_steps() -> int:
    """Print what `run` would do."""
    reference = images.find(IMAGE).reference
    steps = (
        f"build {reference} and what it stands on",
        f"write the diabetes data to {DIRECTORY}/input/data",
        f"train {reference} on the channels train and validation",
        "serve the model, and ask it for the held-out patients",
    )
    print("\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1)))
    return 0


def run() -> int:
    """The whole walk; every container is removed, also after Ctrl-C. Returns the exit code."""
    _title(f"Image {IMAGE}")
    watch = builder.Stopwatch()
    built = builder.execute(make_plan([IMAGE], images.matrix()), builder.look_around())[-1]
    print(f"Built {built.image} ({built.size_mb:.0f} MB of {built.budget_mb}) in {watch}")

    _title("Data")
    held_out = _prepare_data(built.image)
    print(f"{DIRECTORY}/input/data: train, validation; {len(held_out.rows)} patients held out")

    _title("Training job")
    channels = tuple(
        job.Channel(name, DIRECTORY / "input" / "data" / name, "text/csv") for name in ("train", "validation")
    )
    result = measured_job.run(
        job.plan(job.TrainingJob(built.image, channels=channels, hyperparameters=HYPERPARAMETERS))
    )
    print(f"{result.summary()}\n{result.closing()}")
    if result.status == "Stopped":
        return 130  # Ctrl-C, as the shell counts it
    if result.model is None:
        return 1

    _title("Endpoint")
    with Endpoint(built.image, model=result.model) as endpoint:
        print(f"Healthy at {endpoint.url} after {endpoint.started_in:.1f} s")
        predictions = _predict(endpoint, held_out.payload())
    _show_predictions(predictions[:SHOWN], held_out)
    _show_errors(predictions, held_out)
    _show_by_hand(built.image, held_out)
    return 0


def _prepare_data(image: str) -> HeldOut:
    _make_way(image)
    data = DIRECTORY.absolute() / "input" / "data"
    config = DIRECTORY / "input" / "config"
    for directory in (data, config, DIRECTORY / "model", DIRECTORY / "output"):
        directory.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS))
    channels = {
        name: {"TrainingInputMode": "File", "ContentType": "text/csv"} for name in ("train", "validation")
    }
    (config / "inputdataconfig.json").write_text(json.dumps(channels))
    spec = RunSpec(
        image=image,
        entrypoint=("python",),
        command=("/example/prepare.py", "/data"),
        purpose="demo",
        binds=(Bind(EXAMPLE, "/example", read_only=True), Bind(data, "/data")),
        network="none",
    )
    with engine().run(spec) as container:
        said = list(container.lines())
        if container.wait():
            raise ToolkitError("the diabetes data could not be written:\n  " + "\n  ".join(said[-3:]))
    engine().give_to_caller(image, DIRECTORY.absolute())
    held_out = (data / "held-out.csv").replace(DIRECTORY / "held-out.csv")
    return _read_held_out(held_out)


def _make_way(image: str) -> None:
    """Remove what an earlier demo left, and what root wrote there by the printed `docker run` lines."""
    if (DIRECTORY / "result.json").exists():
        raise ToolkitError(f"{DIRECTORY} is a job of yours.", f"Move it away: mv {DIRECTORY} jobs/my-demo")
    if DIRECTORY.exists():
        engine().give_to_caller(image, DIRECTORY.absolute())
        shutil.rmtree(DIRECTORY)


def _read_held_out(path: Path) -> HeldOut:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    # The label is the last column, and stays here.
    return HeldOut(
        ",".join(header[:-1]), [",".join(row[:-1]) for row in rows], [float(row[-1]) for row in rows]
    )


def _predict(endpoint: Endpoint, payload: bytes) -> list[Mapping[str, float]]:
    """One record a patient: `prediction`, the blend, and the prediction of each single model."""
    response = endpoint.invoke(payload, content_type="text/csv", accept="application/json; output=models")
    if response.status != 200:
        raise WorkError(f"the endpoint answered {response.status}: {response.text}")
    predictions: list[Mapping[str, float]] = json.loads(response.body)["predictions"]
    return predictions


def _show_predictions(predictions: Sequence[Mapping[str, float]], held_out: HeldOut) -> None:
    print("\n  patient   predicted   true progression")
    for number, (prediction, truth) in enumerate(zip(predictions, held_out.truth, strict=False), 1):
        print(f"  {number:7}   {prediction['prediction']:9.1f}   {truth:16.0f}")


def _show_errors(predictions: Sequence[Mapping[str, float]], held_out: HeldOut) -> None:
    """RMSE, in units of progression, of the blend beside each single model."""
    errors = {
        name: _rmse([prediction[name] for prediction in predictions], held_out.truth)
        for name in predictions[0]
    }
    blend = errors.pop("prediction")
    print(f"\n  RMSE over the {len(held_out.truth)} held-out patients")
    print(f"  {'blend':22} {blend:6.2f}")
    for name, error in sorted(errors.items(), key=lambda item: item[1]):
        print(f"  {name:22} {error:6.2f}")


def _rmse(predicted: Sequence[float], truth: Sequence[float]) -> float:
    squares = ((one - other) ** 2 for one, other in zip(predicted, truth, strict=True))
    return math.sqrt(sum(squares) / len(truth))


def _show_by_hand(image: str, held_out: HeldOut) -> None:
    short = image.removesuffix(":latest")
    _title("The same by hand")
    print(f'  docker run --rm -v "$PWD/{DIRECTORY}:/opt/ml" {short} train')
    print(f'  docker run --rm -p 8080:8080 -v "$PWD/{DIRECTORY}:/opt/ml" {short} serve')
    print(f"  curl -H 'Content-Type: text/csv' --data '{held_out.rows[0]}' http://localhost:8080/invocations")


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)
