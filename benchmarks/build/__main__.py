"""How long builds take, and how large the image is, beside a plain Dockerfile.

Usage: .venv/bin/python -m benchmarks.build [--rounds 3] [--parallel]

`cold` builds every step anew on the operating system layer that is there; pip's download cache stays, as it
does on a developer's machine (the plain one keeps none, as in the examples). `edit` changes a line of opt_ml,
or of the plain one's program; `requirement` a line of the lock. `cached` has every step in the builder's
cache and nothing in the ledger; `no-op` is the same build once more. Kinds and peers take turns, so that a
slow minute of the machine hits all. `--parallel` builds two images at once and one after the other.
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
from collections.abc import Callable
from pathlib import Path

from benchmarks.build import plain
from toolkit.building.bake import os_reference
from toolkit.building.images import ROOT, find
from toolkit.machine import docker

IMAGE = "ensemble-cpu"
OTHER = "pytorch-cpu"
NAMESPACE = "opt-ml-benchmark"
Times = dict[tuple[str, str], list[float]]


def main() -> None:
    """Print times and sizes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="0: only --parallel")
    parser.add_argument("--parallel", action="store_true", help=f"{IMAGE} and {OTHER}, too: minutes more")
    arguments = parser.parse_args()
    os.environ["OPT_ML_NAMESPACE"] = NAMESPACE
    times: Times = {}
    with tempfile.TemporaryDirectory(prefix="build-benchmark-") as scratch:
        checkout = copy_checkout(Path(scratch) / "checkout")
        context = plain.make_context(Path(scratch) / "plain")
        ours(checkout, IMAGE)  # the operating system layer, and pip's download cache
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds} ...", file=sys.stderr, flush=True)
            one_round(checkout, context, times)
        if arguments.parallel:
            compare_parallel(checkout, times)
    show(times)
    if arguments.rounds:
        show_sizes()


def copy_checkout(folder: Path) -> Path:
    """A copy of this checkout, whose files can be changed."""
    for part in ("build.py", "toolkit", "containers", "entrypoints"):
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir()
            shutil.copy2(source, target)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def one_round(checkout: Path, context: Path, times: Times) -> None:
    """Each kind of build once, of ours and of the plain one."""
    base = os_reference("bookworm")

    def measure(kind: str, peer: str, work: Callable[[], None]) -> None:
        started = time.monotonic()
        work()
        times.setdefault((kind, peer), []).append(time.monotonic() - started)

    edits = {
        "edit": (checkout / "entrypoints/opt_ml/__init__.py", context / "program/train"),
        "requirement": (checkout / "containers/ensemble/requirements/cpu.txt", context / "requirements.txt"),
    }
    measure("cold", "ours", lambda: ours(checkout, IMAGE, "--no-cache"))
    measure("cold", "plain", lambda: plain.build(context, base, "--no-cache"))
    for kind, files in edits.items():
        for file in files:
            with file.open("a", encoding="utf-8") as stream:
                stream.write(f"# {time.time_ns()}\n")
        measure(kind, "ours", lambda: ours(checkout, IMAGE))
        measure(kind, "plain", lambda: plain.build(context, base))
    shutil.rmtree(checkout / ".build")
    measure("cached", "ours", lambda: ours(checkout, IMAGE))
    measure("no-op", "ours", lambda: ours(checkout, IMAGE))
    measure("no-op", "plain", lambda: plain.build(context, base))


def ours(checkout: Path, *arguments: str) -> None:
    """`build.py build` of a checkout."""
    command = [sys.executable, str(checkout / "build.py"), "build", *arguments]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)


def compare_parallel(checkout: Path, times: Times) -> None:
    """Two images at once, and one after the other."""
    for kind, calls in (("two at once", ((IMAGE, OTHER),)), ("two in turn", ((IMAGE,), (OTHER,)))):
        started = time.monotonic()
        for images in calls:
            ours(checkout, *images, "--no-cache")
        times.setdefault((kind, "ours"), []).append(time.monotonic() - started)


def show(times: Times) -> None:
    """Median, shortest and longest wall time."""
    print(f"{'median s':>9} {'min':>7} {'max':>7}  build of {IMAGE}")
    for (kind, peer), seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{middle:9.1f} {min(seconds):7.1f} {max(seconds):7.1f}  {kind}, {peer}")


def show_sizes() -> None:
    """Both images, unpacked, and the parts of ours."""
    reference = f"{NAMESPACE}/{find(IMAGE).name}:latest"
    mine, other = (docker.unpacked_size(one) / 1e6 for one in (reference, plain.REFERENCE))
    print(f"\n{mine:9.0f} MB  {IMAGE}\n{other:9.0f} MB  plain: ours is {mine / other:.2f} of it")
    for step in docker.image_history(reference):
        if step.size_bytes > 1_000_000:
            print(f"{step.size_bytes / 1e6:9.1f} MB  {' '.join(step.instruction.split())[-70:]}")


if __name__ == "__main__":
    main()
