"""The entries of the ledger: one JSON file for each image that was built here, by name and digest.

They lie in .build/ledger/IMAGE/DIGEST.json, and outlive the image itself: `diff` tells what changed between
one that is gone and one that is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolkit.building.images import ROOT
from toolkit.errors import ToolkitError

LEDGER = ROOT / ".build" / "ledger"
_KEPT = 50  # entries of one image; an entry has about 30 KB


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Layer(_Frozen):
    """One layer that holds files."""

    diff_id: Annotated[str, Field(description="sha256 of its unpacked tar.")]
    size_bytes: Annotated[int, Field(description="Unpacked.")]
    step: Annotated[str, Field(description="The instruction that made it.")]


class Package(_Frozen):
    """One package of one of an image's package managers."""

    manager: Annotated[str, Field(description="`debian`, `rpm` or `python`.")]
    name: str
    version: str
    licence: Annotated[str, Field(description="As the package says it, one line; empty where it does not.")]


class SuiteResult(_Frozen):
    """What one run of a test suite found on this image."""

    suite: str
    at: datetime
    passed: int
    failed: int
    skipped: int


class Entry(_Frozen):
    """One built image.

    `digest` is the engine's id of the image, `sha256:...`: the hash of its configuration, which names its
    layers. `inputs` is what `toolkit.building.ledger.inputs` found when it was built.
    """

    name: Annotated[str, Field(description="As in the matrix.")]
    reference: str
    digest: str
    built_at: datetime
    build_seconds: Annotated[float, Field(description="Of the whole build, with what it stands on.")]
    revision: Annotated[str, Field(description="Commit of the checkout; empty outside of git.")]
    inputs: dict[str, str]
    base: Annotated[str | None, Field(description="Hash of the layers of the image that it stands on.")]
    size_bytes: Annotated[int, Field(description="Unpacked.")]
    layers: list[Layer]
    environment: dict[str, str]
    labels: dict[str, str]
    packages: Annotated[list[Package] | None, Field(description="None until somebody asks for them.")] = None
    tests: list[SuiteResult] = []

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return LEDGER / self.name / f"{self.digest.removeprefix('sha256:')}.json"


def write(entry: Entry) -> None:
    """Keep `entry`; of one image's entries the newest 50 are kept."""
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    # Renamed into place: two builds may end at the same moment, and a reader must never see half a file.
    unfinished = entry.path.with_suffix(".part")
    unfinished.write_text(entry.model_dump_json(indent=1), encoding="utf-8")
    unfinished.replace(entry.path)
    newest = sorted(entry.path.parent.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[_KEPT:]:
        path.unlink(missing_ok=True)


def read(name: str, digest: str) -> Entry | None:
    """The entry of image `name` with `digest`, or None where there is none.

    Raises:
        ToolkitError: the file is damaged.
    """
    path = LEDGER / name / f"{digest.removeprefix('sha256:')}.json"
    return _load(path) if path.is_file() else None


def find(digest: str) -> Entry | None:
    """The entry whose digest begins with `digest`, with or without `sha256:`; of several the newest."""
    return max(
        map(_load, LEDGER.glob(f"*/{digest.removeprefix('sha256:')}*.json")),
        key=lambda entry: entry.built_at,
        default=None,
    )


def add_result(entry: Entry, result: SuiteResult) -> None:
    """Keep what a run of a suite found on an image, in place of what the run before found."""
    others = [one for one in entry.tests if one.suite != result.suite]
    write(entry.model_copy(update={"tests": [*others, result]}))


def history(name: str) -> list[Entry]:
    """The entries of image `name`, newest first."""
    return sorted(_all(name), key=lambda entry: entry.built_at, reverse=True)


def _all(name: str) -> Iterator[Entry]:
    return map(_load, (LEDGER / name).glob("*.json"))


def _load(path: Path) -> Entry:
    try:
        return Entry.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ToolkitError(
            f"{path} is no entry of the ledger: {key + ': ' if key else ''}{first['msg']}", f"rm {path}"
        ) from error
