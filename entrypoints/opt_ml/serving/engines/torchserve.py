"""`OPT_ML_SERVING_ENGINE=torchserve`: the same handlers behind TorchServe, as AWS's PyTorch images had it.

TorchServe's project has ended, in 2025, and nobody mends its security holes any more: it is there to compare
with and to move from. TorchServe (Java) is the HTTP server and starts the worker processes; `service` runs in
each. Where it differs from the native server is listed in
tests/conformance/profiles/torchserve-pytorch-cpu.toml.

| variable | meaning | default |
|---|---|---|
| SAGEMAKER_TS_BATCH_SIZE | requests that TorchServe hands over at once (HANDLER-31) | 1 |
| SAGEMAKER_TS_MAX_BATCH_DELAY | milliseconds that it waits for so many | 100 |
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opt_ml.errors import UserError
from opt_ml.serving.engines.engine import OtherServer, run_engine
from opt_ml.serving.engines.gate import Gate
from opt_ml.serving.engines.java import (
    LARGEST,
    find_java,
    find_package,
    free_ports,
    java_options,
    quiet_options,
)
from opt_ml.serving.settings import Settings

_ENGINE = "torchserve"
_NOTICE = (
    "TorchServe has reached its end of life: its project ended in 2025 and its security holes stay. Leave "
    "OPT_ML_SERVING_ENGINE out to serve the same model without it."
)
_HANDLER = "opt_ml.serving.engines.service:handle"
_LONGEST_LOAD = 3600  # seconds; the platform waits no longer (HOST-42)
_LONGEST_PREDICTION = 86_400  # seconds; `service` keeps the time of a prediction
_PRIVATE = "management_address", "metrics_address", "grpc_inference_port", "grpc_management_port"
# What its workers say when they start, and of each request.
_CHATTER = "|".join(
    (
        r"s_name_part0=.*",
        r"Listening on port: .*",
        r"Successfully loaded .*metrics\.yaml\.",
        r"\[PID\]\d+",
        r"Torch worker started\.",
        r"Python runtime: [\d.]+",
        r"Connection accepted: .*",
        r"model_name: model, batchSize: \d+",
        r"Backend received inference at: \d+",
        r"OpenVINO is not enabled",
        r"proceeding without onnxruntime",
        r"Torch TensorRT not enabled",
    )
)
# The workers' lines as the handler wrote them, and the server's own from warnings on; none of the metrics,
# which it writes to files.
_LOGGING = f"""\
<Configuration status="ERROR">
  <Appenders>
    <Console name="server" target="SYSTEM_ERR">
      <PatternLayout pattern="[%p] %c{{1}} - %m%n%throwable{{0}}"/>
    </Console>
    <Console name="worker" target="SYSTEM_OUT">
      <PatternLayout pattern="%m%n"/>
      <RegexFilter regex="{_CHATTER}" onMatch="DENY" onMismatch="NEUTRAL"/>
    </Console>
  </Appenders>
  <Loggers>
    <Logger name="MODEL_LOG" level="info" additivity="false"><AppenderRef ref="worker"/></Logger>
    <Logger name="ACCESS_LOG" level="off"/>
    <Logger name="MODEL_METRICS" level="off"/>
    <Logger name="TS_METRICS" level="off"/>
    <Root level="warn"><AppenderRef ref="server"/></Root>
  </Loggers>
</Configuration>
"""


@dataclass(frozen=True)
class Batches:
    """How TorchServe joins requests.

    Attributes:
        size: requests that the handler gets at once, at most.
        delay: milliseconds that the first of them waits for the others.
    """

    size: int = 1
    delay: int = 100


def run_torchserve(settings: Settings) -> int:
    """Serve with TorchServe until told to stop. Returns the exit code.

    Raises:
        UserError: this image has not been built with the engine, or a setting that the engine does not know.
    """
    if settings.is_multi_model:
        raise UserError(
            "SAGEMAKER_MULTI_MODEL is for the native server. Leave OPT_ML_SERVING_ENGINE out for it."
        )
    home = find_package(_ENGINE, "ts", "TorchServe").parent
    server = _TorchServe(settings, read_batches(os.environ), find_java(_ENGINE), home)
    return run_engine(settings, OtherServer("TorchServe", server.prepare, _NOTICE))


def read_batches(environment: Mapping[str, str]) -> Batches:
    """The variables of AWS's PyTorch toolkit.

    Raises:
        UserError: one that is no number, by name.
    """
    return Batches(
        size=_number(environment, "SAGEMAKER_TS_BATCH_SIZE", 1, 1),
        delay=_number(environment, "SAGEMAKER_TS_MAX_BATCH_DELAY", 100, 0),
    )


def _number(environment: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = environment.get(name, "").strip()
    if text and not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) >= least):
        raise UserError(f"{name}={text!r} must be a whole number from {least} on.")
    return int(text) if text else default


@dataclass(frozen=True)
class _TorchServe:
    """Where its parts lie.

    Attributes:
        java: the program.
        home: the directory with the package `ts`.
    """

    settings: Settings
    batches: Batches
    java: Path
    home: Path

    def prepare(self, directory: Path, gate: Gate) -> list[str]:
        """Write archive, properties and logging; the command of the Java process itself.

        Not by TorchServe's own launcher, which leaves the Java process behind when it is told to stop.
        """
        archive, store = directory / "archive", directory / "store"
        (archive / "MAR-INF").mkdir(parents=True)
        store.mkdir()
        (archive / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest()), encoding="utf-8")
        limits = json.dumps(model_configuration(self.settings, self.batches))  # JSON is YAML
        (archive / "model-config.yaml").write_text(limits, encoding="utf-8")
        (directory / "log4j2.xml").write_text(_LOGGING, encoding="utf-8")
        config = directory / "config.properties"
        ports = free_ports(len(_PRIVATE), self.settings.port)
        text = configuration(self.settings, ports, gate.address, f"model={archive},{gate.model}")
        config.write_text(text, encoding="utf-8")
        return [
            str(self.java),
            f"-Dmodel_server_home={self.home}",
            f"-Dlog4j.configurationFile=file://{directory / 'log4j2.xml'}",
            f"-Djava.io.tmpdir={directory}",
            *java_options(os.environ).split(),
            *quiet_options(self.java),
            *("-cp", f".:{self.home}/ts/frontend/*", "org.pytorch.serve.ModelServer"),
            *("--python", sys.executable, "-f", str(config), "-s", str(store), "-ncs"),
        ]


def manifest() -> dict[str, Any]:
    """An archive that holds nothing but the name of our handler; that reads /opt/ml/model."""
    model = {"modelName": "model", "modelVersion": "1.0", "handler": _HANDLER}
    return {
        "runtime": "python",
        "archiverVersion": "0.12.0",
        "createdOn": "",
        "model": {**model, "configFile": "model-config.yaml"},
    }


def model_configuration(settings: Settings, batches: Batches) -> dict[str, int]:
    """The archive's model-config.yaml."""
    return {
        "minWorkers": settings.workers,
        "maxWorkers": settings.workers,
        "batchSize": batches.size,
        "maxBatchDelay": batches.delay,
        "startupTimeout": _LONGEST_LOAD,
        "responseTimeout": _LONGEST_PREDICTION,
        "jobQueueSize": max(1, settings.queue_size),
    }


def configuration(settings: Settings, ports: Sequence[int], gate: str, models: str) -> str:
    """The properties file of the server.

    Args:
        settings: see `Settings`.
        ports: on loopback, one for each interface that clients are not to reach.
        gate: the only address from which it may load models.
        models: what it loads, in this order.
    """
    private = dict(zip(_PRIVATE, ports, strict=True))
    addresses = {name: f"http://127.0.0.1:{port}" for name, port in private.items() if "address" in name}
    properties = {
        "inference_address": f"http://0.0.0.0:{settings.port}",  # HOST-30
        **private,
        **addresses,
        "grpc_inference_address": "127.0.0.1",
        "grpc_management_address": "127.0.0.1",
        "enable_metrics_api": "false",
        "disable_system_metrics": "true",
        # The platform sends no token (HANDLER-32, MME-23). The API that the token keeps models safe from is
        # off, and by default any address would do to load one from.
        "disable_token_authorization": "true",
        "enable_model_api": "false",
        "allowed_urls": re.escape(gate),
        "load_models": models,
        "decode_input_request": "false",
        "job_queue_size": max(1, settings.queue_size),
        "max_request_size": min(settings.max_body or LARGEST, LARGEST),
        "max_response_size": LARGEST,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items()).replace("\\", "\\\\")
