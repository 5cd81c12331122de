"""What an image is made of: every file, setting and image that a build of it can see, each with its hash.

It is made from the bake definition and the Dockerfiles themselves, so that no second list has to be kept. The
definition is that of a machine without proxy, wheelhouse and source revision: what is installed is pinned by
hash wherever it comes from, and a commit that touches none of an image's files leaves the image as it is.
Weights that PRETRAINED bakes in are part of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from toolkit.building.build_context import hidden_files, sent_files
from toolkit.building.ledger.dockerfile import Stage, stages
from toolkit.errors import ToolkitError

# The hash of a local image's layers, by reference; None where it is not there.
ImageDigest = Callable[[str], str | None]


def inputs_of(
    target: str, definition: Mapping[str, Any], root: Path, image_digest: ImageDigest
) -> dict[str, str]:
    """Everything that a build of `target` can see.

    Args:
        target: name in `definition`.
        definition: as `toolkit.building.bake` makes it, without surroundings.
        root: the checkout; files are named relative to it.
        image_digest: tells the hash of an image that a target stands on and no target makes.

    Returns:
        Name to hash: `containers/ensemble/Dockerfile`, `base-slim: platform`, `image opt-ml/os:bookworm`; a
        file outside of the checkout by its named context: `pretrained: google/electra/config.json`.

    Raises:
        ToolkitError: a Dockerfile cannot be read, or names a stage that is not there.
    """
    found: dict[str, str] = {}
    _visit(target, definition, root, image_digest, found, set())
    return dict(sorted(found.items()))


def _visit(
    name: str,
    definition: Mapping[str, Any],
    root: Path,
    image_digest: ImageDigest,
    found: dict[str, str],
    seen: set[str],
) -> None:
    if name in seen:
        return
    seen.add(name)
    target = definition["target"][name]
    context = Path(target["context"])
    path = context / target.get("dockerfile", "Dockerfile")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ToolkitError(f"{path} cannot be read: {error.strerror}", "git status") from error
    found[_name(path, root)] = _hash_of(path)
    for key, value in _settings(target):
        found[f"{name}: {key}"] = hashlib.sha256(value.encode()).hexdigest()
    contexts: Mapping[str, str] = target.get("contexts", {})
    for origin, paths in _reachable(stages(text, target.get("args", {})), target.get("target"), contexts):
        place = None if origin is None else contexts.get(origin)
        if origin is None:
            found |= _files(context, paths, _folder_name(context, root, name))
        elif place is None:
            found[f"image {origin}"] = image_digest(origin) or "absent"
        elif place.startswith("target:"):
            _visit(place.removeprefix("target:"), definition, root, image_digest, found, seen)
        elif place.startswith("docker-image://"):
            reference = place.removeprefix("docker-image://")
            found[f"image {reference}"] = image_digest(reference) or "absent"
        else:
            found |= _files(Path(place), paths, _folder_name(Path(place), root, origin))


def _settings(target: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a target says beside its files: platform, stage, arguments, labels."""
    yield "platform", ",".join(target.get("platforms", []))
    if target.get("target"):
        yield "stage", target["target"]
    for key, value in target.get("args", {}).items():
        yield f"argument {key}", value
    for key, value in target.get("labels", {}).items():
        yield f"label {key}", value


def _reachable(
    known: list[Stage], wanted: str | None, contexts: Mapping[str, str]
) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """What the stages that `wanted` (or the last one) needs read: (origin, paths); no origin is a stage."""
    by_name = {stage.name: stage for stage in known if stage.name not in contexts}
    by_name |= {str(number): stage for number, stage in enumerate(known)}
    waiting = [by_name[wanted] if wanted else known[-1]]
    seen = set()
    while waiting:
        stage = waiting.pop()
        if stage.name in seen:
            continue
        seen.add(stage.name)
        for use in stage.uses:
            if use.origin in by_name:
                waiting.append(by_name[use.origin])
            elif use.origin != "scratch":
                yield use.origin, use.paths


def _folder_name(folder: Path, root: Path, context: str) -> str:
    """What the names of a context's files begin with: where it lies in the checkout, else its own name."""
    return f"{_name(folder, root)}/" if folder.is_relative_to(root) else f"{context}: "


def _files(folder: Path, patterns: tuple[str, ...], prefix: str) -> dict[str, str]:
    """The files of a context that `patterns` match, by their names after `prefix`."""
    return {
        f"{prefix}{path}": _hash_of(folder / path)
        for path in _context_files(folder)
        if any(_matches(path, pattern) for pattern in patterns)
    }


def _context_files(folder: Path) -> list[str]:
    """The files of a context that its steps can see."""
    hidden = hidden_files(folder)
    return [path for path in sent_files(folder) if path not in hidden and not (folder / path).is_dir()]


def _matches(path: str, pattern: str) -> bool:
    """True where `pattern` names `path` or a folder above it; a wildcard does not cross a slash."""
    if pattern == ".":
        return True
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) >= len(wanted) and all(map(fnmatchcase, parts, wanted))


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _hash_of(path: Path) -> str:
    facts = path.lstat()
    if path.is_symlink():
        return hashlib.sha256(os.fsencode(path.readlink())).hexdigest() + " link"
    digest = _content_hash(path, facts.st_mtime_ns, facts.st_size)
    # The executable bit is what a context keeps of a file's rights, and COPY and bind mounts show it.
    return f"{digest} x" if facts.st_mode & 0o100 else digest


@cache
def _content_hash(path: Path, _modified: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
