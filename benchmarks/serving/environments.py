"""A virtual environment for each peer, made at its first use from locks with hashes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".build" / "serving"
LOCKS = Path(__file__).parent / "requirements"
_ENSEMBLE_LOCK = ROOT / "containers" / "ensemble" / "requirements" / "cpu.txt"
_ENGINE_LOCK = ROOT / "containers" / "mms" / "requirements" / "ensemble-cpu.txt"
_PYTORCH_LOCK = ROOT / "containers" / "pytorch" / "requirements" / "cpu.txt"
_TORCHSERVE_LOCK = ROOT / "containers" / "torchserve" / "requirements" / "pytorch-cpu.txt"
_BUILD_LOCK = ROOT / "entrypoints" / "build-requirements.txt"
PACKAGES = (ROOT / "entrypoints", ROOT / "containers" / "ensemble" / "algorithm")


@dataclass(frozen=True)
class Environment:
    """What a peer's processes import.

    Attributes:
        name: of its directory.
        locks: complete requirements files with hashes.
        packages: directories that are installed so that their files are used where they lie.
        unlocked: requirements whose build depends on the index in use, such as torch with or without CUDA.
    """

    name: str
    locks: tuple[Path, ...]
    packages: tuple[Path, ...] = ()
    unlocked: tuple[str, ...] = ()

    @property
    def directory(self) -> Path:
        """Where it is, or will be."""
        return PLACE / "environments" / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"


ENVIRONMENTS = {
    one.name: one
    for one in (
        # What the image holds, with the working tree's opt_ml and algorithm.
        Environment("native", (_ENSEMBLE_LOCK, _BUILD_LOCK), PACKAGES),
        # The same, and what containers/mms adds to it.
        Environment("mms", (_ENSEMBLE_LOCK, _BUILD_LOCK, _ENGINE_LOCK), PACKAGES),
        # benchmarks/pytorch: what the image torchserve-pytorch-cpu holds.
        Environment(
            "pytorch",
            (_PYTORCH_LOCK, _BUILD_LOCK, _TORCHSERVE_LOCK),
            (ROOT / "entrypoints", ROOT / "containers" / "pytorch" / "algorithm"),
        ),
        Environment("scikit-learn", (LOCKS / "scikit-learn.txt",)),
        Environment("torchserve", (LOCKS / "torchserve.txt",), unlocked=("torch==2.13.0",)),
        Environment("bentoml", (LOCKS / "bentoml.txt",)),
        Environment("mlserver", (LOCKS / "mlserver.txt",)),
        Environment("fastapi", (LOCKS / "fastapi.txt",)),
    )
}


def ensure(name: str) -> Environment:
    """The environment called `name`, made or renewed where its locks have changed.

    Raises:
        subprocess.CalledProcessError: pip could not; it has said why.
    """
    environment = ENVIRONMENTS[name]
    stamp = environment.directory / "made-from"
    wanted = _fingerprint(environment)
    if stamp.exists() and stamp.read_text() == wanted:
        return environment
    print(f"Making the Python environment of {name} ...", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment.directory)], check=True)
    for lock in environment.locks:
        _pip(environment, "--no-deps", "--require-hashes", "-r", str(lock))
    for package in environment.packages:
        _pip(environment, "--no-deps", "--no-build-isolation", "-e", str(package))
    if environment.unlocked:
        _pip(environment, *environment.unlocked)
    # A file that this Python cannot read was written for a newer one, and is imported by none.
    compile_all = [str(environment.python), "-m", "compileall", "-qq", str(environment.directory / "lib")]
    subprocess.run(compile_all, check=False)
    stamp.write_text(wanted)
    return environment


def _fingerprint(environment: Environment) -> str:
    files = [*environment.locks, *(package / "pyproject.toml" for package in environment.packages)]
    digest = hashlib.sha256(" ".join(environment.unlocked).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _pip(environment: Environment, *arguments: str) -> None:
    command = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*command, *arguments], check=True)
