"""Runs scripts with the Python of one of the SageMaker SDKs, away from every account and configuration."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from toolkit.building.images import ROOT

REGION = "eu-west-1"
HANGS = 900  # seconds; a guard for the test run, not an expectation


@dataclass(frozen=True)
class Outcome:
    """What a script of an SDK left.

    Attributes:
        exit_code: of the script: not 0 where the SDK raised.
        log: its standard output and error, the containers' lines included.
        result: what it wrote as its result, empty where it did not come so far.
    """

    exit_code: int
    log: str
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Sdk:
    """One of the SDKs, in an environment of its own.

    Attributes:
        python: its interpreter.
        home: an empty home directory; configuration and results go there.
    """

    python: Path
    home: Path

    def run(self, script: Path, request: Mapping[str, Any], **environment: str) -> Outcome:
        """Run `script REQUEST.json RESULT.json`; the SDK's containers log to its output."""
        asked, answered = self.home / "request.json", self.home / "result.json"
        asked.write_text(json.dumps(request))
        answered.unlink(missing_ok=True)
        result = subprocess.run(
            [str(self.python), str(script), str(asked), str(answered)],
            cwd=self.home,
            env={**self._environment(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=HANGS,
        )
        written = json.loads(answered.read_text()) if answered.exists() else {}
        return Outcome(result.returncode, result.stdout, written)

    def _environment(self) -> dict[str, str]:
        configuration = self.home / "sdk.yaml"
        configuration.write_text(
            json.dumps(
                {
                    "SchemaVersion": "1.0",
                    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
                }
            )
        )
        return {
            "PATH": f"{self._programs()}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "DOCKER_HOST": os.environ.get("DOCKER_HOST", ""),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(configuration),
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
        }

    def _programs(self) -> Path:
        """A directory with `docker-compose`, where only the plugin is installed.

        SDK 2 looks for the text "v2" in `docker compose version`; Debian, Ubuntu and Compose 5 print none
        (LOCAL-12), and then it wants the program.
        """
        directory = self.home / "programs"
        directory.mkdir(exist_ok=True)
        if shutil.which("docker-compose") is None:
            program = directory / "docker-compose"
            program.write_text('#!/bin/sh\nexec docker compose "$@"\n')
            program.chmod(0o755)
        return directory


def find(version: str, home: Path) -> Sdk:
    """The SDK `v2` or `v3`, made by `make sdks`."""
    python = ROOT / ".venv" / f"sdk-{version}" / "bin" / "python"
    if not python.exists():
        pytest.fail(f"There is no {python.relative_to(ROOT)}.\n  make sdks", pytrace=False)
    return Sdk(python, home)


def make_wheel(directory: Path) -> str:
    """Write a wheel that needs no index and no build; its file name."""
    name = "a_requirement-1.0-py3-none-any.whl"
    information = "a_requirement-1.0.dist-info"
    with zipfile.ZipFile(directory / name, "w") as wheel:
        wheel.writestr("a_requirement.py", "VALUE = 7\n")
        wheel.writestr(
            f"{information}/METADATA", "Metadata-Version: 2.1\nName: a-requirement\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{information}/RECORD", "")
    return name
