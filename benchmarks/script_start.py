"""From `docker run IMAGE train` to the first line of the user's script: ours, the AWS toolkit's, bare Python.

Usage: .venv/bin/python benchmarks/script_start.py [--rounds 15]

All three run in one image, ensemble-cpu with sagemaker-training 5.1.4 on top (tests/differential). They take
turns, so that a slow moment of the machine hits all. The script prints the time at which its first line runs:
the clock is the machine's own, and neither Docker's log nor a pipe counts. The container's start is in every
figure, and so the figures to compare are those above bare Python.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.differential.toolkit_image import build_toolkit_image

COMMANDS = {
    "python train.py": ("python", "/opt/ml/code/train.py"),
    "train, native": ("train",),
    "train, sagemaker-training": ("train-sagemaker",),
}
BARE, NATIVE, TOOLKIT = COMMANDS
SCRIPT = "import time\nprint('began', time.time_ns(), flush=True)\n"


def main() -> None:
    """Print the medians, and what each costs above bare Python."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    image = build_toolkit_image()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(measure(image, command))
    bare = statistics.median(times[BARE])
    print(f"{'median ms':>10} {'min':>6} {'max':>6} {'above bare':>11}  to the first line, {rounds} rounds")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(
            f"{middle * 1e3:10.0f} {min(seconds) * 1e3:6.0f} {max(seconds) * 1e3:6.0f} "
            f"{(middle - bare) * 1e3:11.0f}  {name}"
        )
    share = (statistics.median(times[NATIVE]) - bare) / (statistics.median(times[TOOLKIT]) - bare)
    print(f"native takes {share:.0%} of what the toolkit takes above bare Python")


def measure(image: str, command: tuple[str, ...]) -> float:
    """Seconds from the call of `docker run` to the first line of the script, on a fresh /opt/ml."""
    with tempfile.TemporaryDirectory(prefix="script-start-") as scratch:
        base = Path(scratch)
        config = base / "input" / "config"
        for directory in (config, base / "code", base / "output", base / "model"):
            directory.mkdir(parents=True)
        (base / "code" / "train.py").write_text(SCRIPT)
        files = {
            "hyperparameters": {"sagemaker_program": '"train.py"', "epochs": "10"},
            "resourceconfig": {"current_host": "localhost", "hosts": ["localhost"]},
            "inputdataconfig": {"train": {"TrainingInputMode": "File"}},
        }
        for name, content in files.items():
            (config / f"{name}.json").write_text(json.dumps(content))
        call = ["docker", "run", "--rm", "-v", f"{base}:/opt/ml", image, *command]
        started = time.time_ns()
        run = subprocess.run(call, check=True, capture_output=True, text=True)
    (began,) = (line for line in run.stdout.splitlines() if line.startswith("began "))
    return (int(began.split()[1]) - started) / 1e9


if __name__ == "__main__":
    main()
