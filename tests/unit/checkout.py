"""The files of this checkout, for tests about the checkout itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {
    ".venv",
    ".build",
    ".git",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}


def checkout_files() -> list[Path]:
    """Tracked and new files by git; without git (a source archive), every file that is not generated."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        found = (path for path in ROOT.rglob("*") if not GENERATED & set(path.relative_to(ROOT).parts))
        return [path for path in found if path.is_file() and ROOT / "jobs" not in path.parents]
    return [ROOT / name for name in listing.splitlines() if (ROOT / name).is_file()]
