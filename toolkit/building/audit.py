"""Known vulnerabilities of what the images install, by their locks: pip-audit asks, this says what it means.

An advisory may be accepted for a while in containers/audit.toml, with a reason and the day on which somebody
looks again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolkit.building.images import CONTAINERS, shown
from toolkit.errors import ToolkitError
from toolkit.machine.network import find_ca_bundle

ACCEPTED = CONTAINERS / "audit.toml"


class Accepted(BaseModel):
    """One advisory that is known and left for a while."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    advisory: Annotated[str, Field(description="Its number: GHSA-..., CVE-... or PYSEC-....")]
    package: Annotated[str, Field(description="The package that it is about.")]
    reason: Annotated[str, Field(min_length=1, description="Why it does not touch the images.")]
    review_by: Annotated[date, Field(description="Last day on which it is accepted.")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    accepted: list[Accepted] = []


@dataclass(frozen=True)
class Finding:
    """One advisory about one locked package.

    Attributes:
        package, version: as locked.
        advisory: its number; `aliases` are others of the same.
        fixed_in: versions without it, oldest first; empty where there is none yet.
        accepted: the entry of containers/audit.toml about it, expired or not.
    """

    package: str
    version: str
    advisory: str
    aliases: tuple[str, ...]
    fixed_in: tuple[str, ...]
    accepted: Accepted | None

    def counts(self, today: date) -> bool:
        """False while it is accepted."""
        return self.accepted is None or today > self.accepted.review_by


@dataclass(frozen=True)
class Audit:
    """What is known of one lock: how many packages were asked about, and which the service does not know."""

    lock: Path
    findings: tuple[Finding, ...]
    audited: int
    unknown: tuple[str, ...]


def read_accepted(path: Path = ACCEPTED) -> list[Accepted]:
    """The accepted advisories.

    Raises:
        ToolkitError: the file is not as it must be; names the key.
    """
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).accepted
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        problem = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        key = ".".join(map(str, problem["loc"]))
        raise ToolkitError(
            f"{shown(path)}: {key + ': ' if key else ''}{problem['msg']}", "Its head shows an entry."
        ) from error


def audit(lock: Path, accepted: Sequence[Accepted], service: Sequence[str]) -> Audit:
    """Ask an advisory service about every package of a lock.

    Args:
        lock: a requirements file with hashes.
        accepted: advisories that are accepted for a while.
        service: pip-audit's options that name the service; none for its default.

    Raises:
        ToolkitError: the service cannot be reached, or knows none of the packages.
    """
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(lock),
        "--require-hashes",
        "--disable-pip",
    ]
    command += ["--format", "json", "--progress-spinner", "off", "--aliases", "on", *service]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    try:
        dependencies = json.loads(result.stdout)["dependencies"]
    except ValueError:
        said = [line for line in result.stderr.splitlines() if line.strip()] or ["no answer"]
        raise ToolkitError(
            f"the advisories could not be asked for: {said[-1]}",
            "Set HTTPS_PROXY, or name a mirror of the OSV service: --osv-url URL",
        ) from None
    known = [one for one in dependencies if "skip_reason" not in one]
    if dependencies and not known:
        raise ToolkitError(
            f"the advisory service knows none of the {len(dependencies)} packages of {shown(lock)}.",
            "A mirror of the index without advisories answers so: --osv-url URL names another service.",
        )
    return Audit(
        lock,
        tuple(_finding(one, advisory, accepted) for one in known for advisory in one["vulns"]),
        len(known),
        tuple(one["name"] for one in dependencies if "skip_reason" in one),
    )


def _finding(package: dict[str, Any], advisory: dict[str, Any], accepted: Sequence[Accepted]) -> Finding:
    numbers = (advisory["id"], *advisory["aliases"])
    return Finding(
        package["name"],
        package["version"],
        advisory["id"],
        tuple(advisory["aliases"]),
        tuple(advisory["fix_versions"]),
        next((one for one in accepted if one.package == package["name"] and one.advisory in numbers), None),
    )


def _environment() -> dict[str, str]:
    bundle = find_ca_bundle()
    return {**os.environ, **({"REQUESTS_CA_BUNDLE": str(bundle.path)} if bundle else {})}
