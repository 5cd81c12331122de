"""The files of a build context, as `docker build` sends them; docker-py knows the rules of .dockerignore."""

from __future__ import annotations

from pathlib import Path

from docker.utils.build import exclude_paths

IGNORE_FILE = ".dockerignore"


def sent_files(folder: Path, dockerfile: str = "Dockerfile") -> list[str]:
    """The files and directories that are sent, sorted. The Dockerfile and the ignore file always are."""
    patterns = [*ignore_patterns(folder, dockerfile), f"!{_ignore_file(folder, dockerfile).name}"]
    return sorted(exclude_paths(str(folder), patterns, dockerfile))


def hidden_files(folder: Path, dockerfile: str = "Dockerfile") -> set[str]:
    """Of those, the ones that no step sees: the Dockerfile and the ignore file where it names them."""
    own = {dockerfile, _ignore_file(folder, dockerfile).name}
    return own & set(ignore_patterns(folder, dockerfile))


def ignore_patterns(folder: Path, dockerfile: str = "Dockerfile") -> list[str]:
    """The lines of the ignore file, without comments; none where there is no such file."""
    ignore = _ignore_file(folder, dockerfile)
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.exists() else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _ignore_file(folder: Path, dockerfile: str) -> Path:
    """`DOCKERFILE.dockerignore` counts before `.dockerignore`, as with BuildKit."""
    own = folder / f"{dockerfile}{IGNORE_FILE}"
    return own if own.exists() else folder / IGNORE_FILE
