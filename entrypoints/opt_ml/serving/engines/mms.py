"""`OPT_ML_SERVING_ENGINE=mms`: the same handlers behind multi-model-server, as AWS's containers have it.

multi-model-server (Java) is the HTTP server and starts the worker processes; `service` runs in each. Its
configuration begins with that of sagemaker-inference. Where it differs from the native server is listed in
tests/conformance/profiles/mms-ensemble-cpu.toml.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opt_ml.errors import UserError
from opt_ml.serving.engines.engine import OtherServer, run_engine
from opt_ml.serving.engines.gate import Gate
from opt_ml.serving.engines.java import LARGEST, find_java, find_package, free_ports, java_options
from opt_ml.serving.log_policy import LogPolicy
from opt_ml.serving.settings import Settings

_ENGINE = "mms"
_SERVICE = "opt_ml.serving.engines.service"
_HIGHEST_PORT = 32766  # multi-model-server's own rule
_ACCESS_LOG = '<Logger name="ACCESS_LOG" level="info">'
_NO_ACCESS_LOG = '<Logger name="ACCESS_LOG" level="off">'
_LONGEST_LOAD = 3600  # seconds; the platform waits no longer (HOST-42)


def run_mms(settings: Settings) -> int:
    """Serve with multi-model-server until told to stop. Returns the exit code.

    Raises:
        UserError: this image has not been built with the engine, or a setting that the engine does not know.
    """
    if settings.is_multi_model:
        raise UserError(
            "SAGEMAKER_MULTI_MODEL is for the native server. Leave OPT_ML_SERVING_ENGINE out for it."
        )
    if settings.port > _HIGHEST_PORT:
        raise UserError(
            f"SAGEMAKER_BIND_TO_PORT={settings.port}: multi-model-server takes no port above {_HIGHEST_PORT}."
        )
    packages = ("mms", "multi-model-server"), ("sagemaker_inference", "sagemaker-inference")
    server, toolkit = (find_package(_ENGINE, *names) for names in packages)
    mms = _MultiModelServer(settings, find_java(_ENGINE), server.parent, toolkit / "etc")
    return run_engine(settings, OtherServer("multi-model-server", mms.prepare))


@dataclass(frozen=True)
class _MultiModelServer:
    """Where its parts lie.

    Attributes:
        java: the program.
        home: the directory with the package `mms`.
        files: sagemaker-inference's properties and logging configuration for it.
    """

    settings: Settings
    java: Path
    home: Path
    files: Path

    def prepare(self, directory: Path, gate: Gate) -> list[str]:
        """Write the properties; the command of the Java process itself.

        Not by multi-model-server's own launcher, a Python process more that stays, and that refuses to start
        where the process id in /tmp/.model_server.pid belongs to anybody now.
        """
        config = directory / "mms.properties"
        defaults = (self.files / "default-mms.properties").read_text(encoding="utf-8")
        [management_port] = free_ports(1, self.settings.port)
        config.write_text(
            configuration(self.settings, defaults, management_port, os.environ), encoding="utf-8"
        )
        logging = directory / "log4j2.xml"
        usual = (self.files / "log4j2.xml").read_text(encoding="utf-8")
        logging.write_text(logging_configuration(self.settings.log, usual), encoding="utf-8")
        return [
            str(self.java),
            f"-Dmodel_server_home={self.home}",
            f"-Dlog4j.configurationFile=file://{logging}",
            f"-Djava.io.tmpdir={directory}",
            *java_options(os.environ).split(),
            *("-cp", f".:{self.home}/mms/frontend/*", "com.amazonaws.ml.mms.ModelServer"),
            *("--python", sys.executable, "-f", str(config)),
            *("-s", "/", "-m", f"model={self.settings.model_dir}", gate.model),
        ]


def configuration(
    settings: Settings, defaults: str, management_port: int, environment: Mapping[str, str]
) -> str:
    """The properties file of the server.

    Args:
        settings: see `Settings`.
        defaults: the text of sagemaker-inference's own file.
        management_port: on loopback.
        environment: for the options of the Java machine.
    """
    address = f"http://0.0.0.0:{settings.port}"  # HOST-30
    properties = {
        "inference_address": address,
        # Its own containers leave the API that removes models open to every client of the endpoint.
        "management_address": f"http://127.0.0.1:{management_port}",
        "default_workers_per_model": settings.workers,
        "default_service_handler": _SERVICE,
        # It counts for the load of the model, too; `service` keeps the time of a prediction.
        "default_response_timeout_seconds": max(int(settings.timeout), _LONGEST_LOAD),
        "job_queue_size": max(1, settings.queue_size),
        "max_request_size": min(settings.max_body or LARGEST, LARGEST),
        "max_response_size": LARGEST,
        "vmargs": java_options(environment),
    }
    return defaults + "".join(f"{name}={value}\n" for name, value in properties.items())


def logging_configuration(policy: LogPolicy, usual: str) -> str:
    """The server's log4j2.xml: it writes a line about each request, good or not, or none (AG-09, MHCS-06).

    Args:
        policy: which requests have lines.
        usual: the text of sagemaker-inference's own file.
    """
    return usual if policy.least_status() < 400 else usual.replace(_ACCESS_LOG, _NO_ACCESS_LOG)
