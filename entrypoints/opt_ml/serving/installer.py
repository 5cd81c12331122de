"""The process that installs a model's requirements, so that the front answers /ping meanwhile (HOST-43).

It makes a virtual environment that sees the packages of this image. pip then takes these for installed, and
puts what is missing, or is wanted in another version, into the environment, before those of the image.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import venv
from pathlib import Path

from opt_ml import pip
from opt_ml.errors import UserError
from opt_ml.serving.packages import site_packages
from opt_ml.serving.workers import frames
from opt_ml.serving.workers.worker_socket import die_with, take_socket

_TAIL = 64 * 1024  # bytes of pip's output that are kept to tell the cause
_CONNECT_TIMEOUT = "10"  # seconds; a container whose packets are dropped must not hang (HANDLER-13)


def main(directory: Path, files: list[Path], front: int) -> int:
    """Install, and tell the front how it went. Returns the exit code.

    Args:
        directory: gets the virtual environment.
        files: requirements.txt of the model.
        front: process id of the front.
    """
    die_with(front)
    with take_socket() as connection:
        try:
            install(directory, files)
        except UserError as error:
            details = getattr(error, "details", "").encode()
            frames.send(connection, {"event": "failed", "cause": str(error)}, details)
            return 1
        except OSError as error:  # the disk is full
            cause = f"{files[0]} was not installed: {error}. Give the container more disk."
            frames.send(connection, {"event": "failed", "cause": cause})
            return 1
        frames.send(connection, {"event": "ready"})
    return 0


def install(directory: Path, files: list[Path]) -> None:
    """Install what `files` ask for into a new virtual environment in `directory`.

    Raises:
        InstallError: pip failed.
        UserError: the CodeArtifact repository cannot be used, or STANDARD_PIP_ARGS is no list of words.
    """
    began = time.monotonic()
    venv.EnvBuilder(symlinks=True).create(directory)
    packages = Path(site_packages(directory))
    ours = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (packages / "image.pth").write_text("".join(f"{path}\n" for path in ours), encoding="utf-8")
    words = [str(directory / "bin" / "python"), "-m", "pip", *pip.OPTIONS, "--no-cache-dir", "--no-input"]
    for file in files:
        wheels = file.with_name("requirements")
        words += ["--find-links", str(wheels)] if wheels.is_dir() else []
        words += ["-r", str(file)]
    words += _more_arguments(os.environ.get("STANDARD_PIP_ARGS", ""))
    variables = {"PIP_DEFAULT_TIMEOUT": _CONNECT_TIMEOUT, **pip.variables(os.environ, has_requirements=True)}
    variables["TMPDIR"] = str(directory)  # what pip leaves where it is stopped goes with the directory
    # Its words are kept for the case that it fails: the first line of the log is to be the cause then.
    ended = subprocess.run(
        words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if ended.returncode:
        what = " and ".join(str(file) for file in files)
        raise pip.explain("InstallRequirementsError", what, ended.returncode, ended.stdout[-_TAIL:])
    done = ended.stdout.decode(errors="replace").strip().splitlines()[-1:]
    print(f"requirements.txt: {''.join(done)} ({time.monotonic() - began:.1f} s)", flush=True)


def _more_arguments(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"STANDARD_PIP_ARGS={text!r} cannot be split into arguments ({error}).") from None


if __name__ == "__main__":
    *names, process = sys.argv[2:]
    sys.exit(main(Path(sys.argv[1]), [Path(name) for name in names], int(process)))
