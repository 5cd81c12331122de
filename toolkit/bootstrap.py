"""Python environments, the toolkit's own `.venv` first, made with nothing but the standard library.

Everything else may import the dependencies; this module is what runs before they exist.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST_PYTHON = (3, 11)


def enter_environment() -> None:
    """Go on in `.venv`, so that `./build.py` works with whatever Python it was started by.

    Exits with a message when there is no environment and the dependencies cannot be imported.
    """
    python = VENV / "bin" / "python"
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    if python.exists():
        os.execv(python, [str(python), *sys.argv])  # noqa: S606 - the same program, in its environment
    from importlib.util import find_spec

    if find_spec("pydantic") is None or find_spec("docker") is None:
        sys.exit("build.py needs its Python environment.\n  make setup")


def main(lock: str, environment: str = ".venv") -> None:
    """Make the Python environment if it is missing and install the hash-pinned `lock` file into it.

    Exits with what to install where the machine lacks something that cannot be installed from here.

    Args:
        lock: a requirements file.
        environment: its directory; both from the root of the checkout.
    """
    directory = ROOT / environment
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0])
    # `python` may be there and lead nowhere: the Python that it was made with has been replaced.
    if not all((directory / "bin" / program).exists() for program in ("python", "pip")):
        _make_venv(directory)
    _pip_install(lock, str(directory / "bin" / "python"))


def _pip_install(lock: str, python: str) -> None:
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # --no-deps: the lock is complete, and pip has nothing left to decide.
    result = subprocess.run(
        [*pip, "install", "--require-hashes", "--no-deps", "-r", lock], cwd=ROOT, check=False
    )
    if result.returncode:
        sys.exit(
            f"pip could not install {lock}.\n"
            "  Behind a proxy that intercepts TLS, set PIP_CERT to the CA bundle and try again."
        )


def install_extra(lock: str, *packages: str) -> None:
    """Install a further lock into the running environment where it lacks one of `packages`.

    What only some commands need comes with the first of them, so that the others start sooner.

    Exits with what to do where pip cannot.
    """
    from importlib.util import find_spec

    if all(find_spec(package) for package in packages):
        return
    print(f"Installing {lock} for this command, once ...", file=sys.stderr, flush=True)
    _pip_install(lock, sys.executable)


def _make_venv(directory: Path) -> None:
    """`python -m venv`; Debian keeps the part that brings pip in a package of its own."""
    if not _has_ensurepip():
        if not (shutil.which("apt-get") and os.geteuid() == 0):
            sys.exit(
                "This Python cannot make a virtual environment with pip.\n  sudo apt-get install python3-venv"
            )
        print("Installing python3-venv ...", flush=True)
        apt_get("update")  # a source that does not answer is no reason to stop
        installed = apt_get("install", "--no-install-recommends", "python3-venv", "ca-certificates")
        if installed.returncode:
            sys.exit(f"`{' '.join(installed.args)}` failed:\n{installed.stderr.strip()}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)


def apt_get(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run apt-get without questions and without output; the caller looks at the result."""
    command = ["apt-get", "-qq", "-y", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _has_ensurepip() -> bool:
    probe = [sys.executable, "-c", "import ensurepip, venv"]
    return subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
