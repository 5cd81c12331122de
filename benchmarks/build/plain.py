"""The peer: an image written as AWS's published examples write theirs, with the same libraries."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from toolkit.building.images import CONTAINERS
from toolkit.machine.network import find_ca_bundle

HERE = Path(__file__).parent / "plain"
REFERENCE = "opt-ml-benchmark/plain:latest"
# What the examples install, beside the three libraries: by name, as people do. Versions come from our lock.
NAMES = ("numpy", "scipy", "scikit-learn", "pandas", "catboost", "xgboost", "flask", "gunicorn")
_LOCKED = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def make_context(folder: Path) -> Path:
    """A build context of its own in `folder`, to be edited."""
    shutil.copytree(HERE, folder)
    locked = dict(_LOCKED.findall((CONTAINERS / "ensemble" / "requirements" / "cpu.txt").read_text("utf-8")))
    locked["xgboost"] = locked["xgboost-cpu"]
    lines = [f"{name}=={locked[name]}" if name in locked else name for name in NAMES]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def build(context: Path, base: str, *options: str) -> None:
    """`docker build`, as the examples do it.

    Args:
        context: from `make_context`.
        base: the operating system that ours stands on, too.
        options: of `docker build`.
    """
    bundle = find_ca_bundle()
    secret = ("--secret", f"id=ca,src={bundle.path}") if bundle else ()
    command = ["docker", "build", "--quiet", "--build-arg", f"BASE={base}", "--tag", REFERENCE]
    subprocess.run([*command, *secret, *options, str(context)], check=True, capture_output=True)
