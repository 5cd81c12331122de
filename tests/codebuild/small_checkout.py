"""What a person calls, in a checkout of its own with one small family."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.unit.checkout import ROOT, checkout_files
from toolkit.namespace import LOCAL_NAMESPACE

NAMESPACE = f"{LOCAL_NAMESPACE}-codebuild"
TINY = f"{NAMESPACE}/tiny-cpu:latest"
PARTS = ("build.py", "toolkit", "entrypoints", "requirements", "containers/base", "containers/shared")


def make_checkout(root: Path) -> Path:
    """A checkout of this repository with one small family, `tiny`."""
    for path in checkout_files():
        name = path.relative_to(ROOT)
        if name.as_posix().startswith(PARTS):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / name)
    tiny = root / "containers/tiny"
    tiny.mkdir()
    base = (ROOT / "containers/base/image.toml").read_text()
    (tiny / "image.toml").write_text(base.replace("[variants.slim", "[variants.cpu"))
    (tiny / "Dockerfile").write_text("FROM os\nCOPY words.txt /\nRUN grep one /words.txt\n")
    (tiny / ".dockerignore").write_text("secret.txt\n")
    (tiny / "words.txt").write_text("one\n")
    (tiny / "secret.txt").write_text("not for a build\n")
    (root / ".venv").symlink_to(Path(sys.prefix))
    (root / ".gitignore").write_text(".venv\n.build/\n__pycache__/\n")
    git = ["git", "-C", str(root), "-c", "user.name=me", "-c", "user.email=me@localhost"]
    for arguments in (["init"], ["add", "--all"], ["commit", "--message", "all"]):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    return root


def call(checkout: Path, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`build.py` of the checkout, in `folder`."""
    command = [sys.executable, str(checkout / "build.py"), *arguments]
    return subprocess.run(command, cwd=folder or checkout, capture_output=True, text=True, check=False)


def engine(*arguments: str) -> str:
    return subprocess.check_output(["docker", *arguments], text=True)


def remove(*images: str) -> None:
    subprocess.run(["docker", "rmi", "--force", *images], capture_output=True, check=False)
