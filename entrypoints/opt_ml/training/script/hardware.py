"""What the instance has, as the SM_NUM_* variables tell it (TT-48)."""

from __future__ import annotations

import json
import os


def find_program(name: str) -> str | None:
    """The path of an executable on PATH; `shutil.which` without the import of half a dozen packers."""
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(directory or ".", name)  # noqa: PTH118 - runs before each job
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
            return path
    return None


def count_gpus() -> int:
    """GPUs that nvidia-smi lists; 0 where there is none, or none works."""
    listed = _output("nvidia-smi", "--list-gpus")
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def count_neurons(instance_type: str) -> int:
    """Neuron cores that neuron-ls lists."""
    if "trn2.48xlarge" in instance_type:
        return 64  # neuron-ls counts physical cores there; the toolkit says the same
    try:
        return sum(
            int(device.get("nc_count", 0)) for device in json.loads(_output("neuron-ls", "-j") or "[]")
        )
    except (ValueError, AttributeError):
        return 0


def processes_per_host(gpus: int, neurons: int) -> int:
    """One process for each accelerator, or one (TT-73)."""
    return gpus or neurons or 1


def _output(program: str, *arguments: str) -> str:
    path = find_program(program)
    if path is None:
        return ""
    import subprocess

    try:
        run = subprocess.run([path, *arguments], stdout=subprocess.PIPE, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return run.stdout.decode(errors="replace")
