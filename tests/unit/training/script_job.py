"""`train` as a process, on a job whose program is given as text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit.building.images import ROOT

MODULE = ("-m", "opt_ml.training.main")
MAIN = "import sys; from opt_ml.training.main import main; sys.exit(main())"


class ScriptJob:
    """One job below `directory`, which stands for /opt/ml (TT-08).

    Attributes:
        before: Python text that runs in the process first, such as one that shortens a wait.
    """

    before = ""

    def __init__(self, directory: Path) -> None:
        self.base = directory / "ml"
        self.failure_file = self.base / "output" / "failure"
        for part in ("input/config", "input/data", "code", "model"):
            (self.base / part).mkdir(parents=True)

    def start(
        self,
        text: str | None,
        program: str = "train.py",
        hyperparameters: Mapping[str, Any] | None = None,
        resources: Mapping[str, Any] | None = None,
        **variables: str,
    ) -> subprocess.Popen[bytes]:
        """Start `train`; `text` of None makes no program, and names none in hyperparameters.json."""
        named = {} if text is None else {"sagemaker_program": json.dumps(program)}
        if text is not None:
            (self.base / "code" / program).write_text(text)
        config = self.base / "input" / "config"
        (config / "hyperparameters.json").write_text(json.dumps({**named, **(hyperparameters or {})}))
        if resources:
            (config / "resourceconfig.json").write_text(json.dumps(resources))
        return subprocess.Popen(
            [sys.executable, "-c", f"{self.before}\n{MAIN}"] if self.before else [sys.executable, *MODULE],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "entrypoints"),
                "SAGEMAKER_BASE_DIR": str(self.base),
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, text: str | None, **options: Any) -> tuple[int, bytes, bytes]:
        """Exit code, standard output and standard error."""
        process = self.start(text, **options)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    @property
    def reason(self) -> str:
        """The first line of the failure file."""
        return self.failure_file.read_text().partition("\n")[0]
