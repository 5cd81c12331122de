"""Size of an image by part, and the time of three builds: cold, after an edit of the entrypoints, no-op.

Usage: .venv/bin/python benchmarks/image_build.py [IMAGE] [--rounds 3]

`cold` builds every step anew (`--no-cache`) on the operating system layer that is there; pip's download
cache stays, as it does on a developer's machine. `edit` changes one line of opt_ml in a copy of this
checkout. Times are medians over the rounds, the three kinds in turn, so that a slow minute of the machine
hits all of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEASURE_PARTS = r"""
import pathlib, re
def size(path):
    return sum(p.lstat().st_size for p in path.rglob("*") if p.is_file() and not p.is_symlink())
site = next(pathlib.Path("/opt/venv/lib").glob("python3*/site-packages"))
parts = {}
for path in site.iterdir():
    name = re.split(r"[-.]", path.name)[0]
    parts[name] = parts.get(name, 0) + (size(path) if path.is_dir() else path.lstat().st_size)
for name, bytes_ in sorted(parts.items(), key=lambda item: -item[1])[:12]:
    print(f"{name}\t{bytes_}")
"""


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("image", nargs="?", default="ensemble-cpu")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    build(ROOT, arguments.image)
    print_sizes(f"{os.environ.get('OPT_ML_NAMESPACE', 'opt-ml')}/{arguments.image}")
    print_times(arguments.image, arguments.rounds)


def print_sizes(reference: str) -> None:
    """Layers from the top down, then the largest Python packages, in MB (1,000,000 bytes)."""
    layout = ("--no-trunc", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}")
    layers = output("docker", "history", *layout, reference)
    print(f"{'MB':>8}  layer of {reference}")
    total = 0
    for line in layers.splitlines():
        size, created_by = line.split("\t", 1)
        total += int(size)
        if int(size) > 1000:
            print(f"{int(size) / 1e6:8.1f}  {describe(created_by)}")
    print(f"{total / 1e6:8.1f}  in all\n")
    print(f"{'MB':>8}  Python package, with its byte code")
    for line in output("docker", "run", "--rm", reference, "python", "-c", MEASURE_PARTS).splitlines():
        name, size = line.split("\t")
        print(f"{int(size) / 1e6:8.1f}  {name}")


def describe(created_by: str) -> str:
    """What a layer brought: the command of its RUN line names it."""
    words = created_by.split("# buildkit")[0].split()
    if "apt-get" in words:
        return "Python, libgomp, certificates"
    return " ".join(words[words.index("-c") + 1 :])[:70] if "-c" in words else "operating system"


def print_times(image: str, rounds: int) -> None:
    """Median, shortest and longest wall time in seconds of each kind of build."""
    times: dict[str, list[float]] = {"cold": [], "edit": [], "no-op": []}
    with tempfile.TemporaryDirectory(prefix="checkout-") as scratch:
        copy = Path(scratch) / "checkout"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "jobs"))
        edited = copy / "entrypoints" / "opt_ml" / "__init__.py"
        source = edited.read_text(encoding="utf-8")
        for number in range(rounds):
            times["cold"].append(build(copy, image, "--no-cache"))
            edited.write_text(f"{source}\n# edit {number} of {time.time_ns()}\n", encoding="utf-8")
            times["edit"].append(build(copy, image))
            times["no-op"].append(build(copy, image))
    build(ROOT, image)  # the tag belongs to this checkout again
    print(f"\n{'median s':>9} {'min':>7} {'max':>7}  build of {image}, {rounds} rounds")
    for kind, seconds in times.items():
        print(f"{statistics.median(seconds):9.1f} {min(seconds):7.1f} {max(seconds):7.1f}  {kind}")


def build(checkout: Path, image: str, *options: str) -> float:
    """Run `build.py build` of a checkout; its wall time in seconds."""
    started = time.monotonic()
    command = [sys.executable, str(checkout / "build.py"), "build", image, *options]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    return time.monotonic() - started


def output(*command: str) -> str:
    """Standard output of a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
