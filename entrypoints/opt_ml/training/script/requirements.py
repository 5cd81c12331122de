"""requirements.txt of the source directory, and the source directory as a package (TT-11, TT-14 to TT-16)."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from opt_ml import pip
from opt_ml.training.script.process import run_process
from opt_ml.training.script.program import COMMAND, PACKAGE


def install(kind: str, code_dir: Path) -> None:
    """Install what a program of that kind needs; nothing for a command (TT-14).

    Raises:
        InstallError: pip failed; its first line begins as the AWS toolkit's error does (TT-16).
        UserError: the CodeArtifact repository cannot be used.
    """
    has_requirements = (code_dir / "requirements.txt").exists()
    if kind == COMMAND or (kind != PACKAGE and not has_requirements):
        return
    words = [sys.executable, "-m", "pip", *pip.OPTIONS]
    words += ["."] if kind == PACKAGE else []
    words += ["-r", "requirements.txt"] if has_requirements else []
    what = "the source directory" if kind == PACKAGE else "requirements.txt"
    print(f"Installing {what}: {' '.join(words[2:])}", flush=True)
    ended = run_process(words, str(code_dir), pip.variables(os.environ, has_requirements))
    if ended.stopped:  # also where pip was about to end well: the program must not be started any more
        print(f"Stopped while installing {what}.", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    if ended.exit_code:
        name = "InstallModuleError" if kind == PACKAGE else "InstallRequirementsError"
        raise pip.explain(name, what, ended.exit_code, ended.stderr)
