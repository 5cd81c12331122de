"""Verifies an image: what it claims, the tests of what it claims, and what they say of each rule."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from toolkit.artifacts import readable_size
from toolkit.errors import ToolkitError
from toolkit.machine.containers import engine
from toolkit.machine.docker import inspect_image, pull_image
from toolkit.verify import suite
from toolkit.verify.claims import Claims, find_claims
from toolkit.verify.contract import chosen, rules, within
from toolkit.verify.layers import ImageFiles, read_layers
from toolkit.verify.profiles import Given, choose, settled, write_profile
from toolkit.verify.results import Verification, by_rule

PLATFORM = "linux/amd64"  # IMG-06
FEW = 6  # rules, below which more worker processes cost more than they bring
# Modules of the suite that look at an image without running it.
STATIC = ("-k", "test_image or test_layers")


@dataclass(frozen=True)
class Asked:
    """What is to be verified.

    Attributes:
        image: a local reference, or one that is pulled.
        given: what the caller says of the image.
        level: the least level whose rules are looked at.
        only: sections and ids of rules, as `toolkit.verify.contract.chosen` takes them; empty for all.
        workers: processes that run tests at one time.
        start_limit: seconds until /ping must be 200.
        job_limit: seconds until a job must have ended.
    """

    image: str
    given: Given = field(default_factory=Given)
    level: str = "should"
    only: tuple[str, ...] = ()
    workers: int = 4
    start_limit: float = 480.0
    job_limit: float = 600.0


@dataclass(frozen=True)
class Examined:
    """An image before its tests.

    Attributes:
        facts: name -> text, for people.
        claims: as found in the image, or as its profile says.
        base: the profile that stands under it; empty for none.
        has_python: whether `python3` is on its PATH.
    """

    facts: Mapping[str, str]
    claims: Claims
    base: str
    has_python: bool

    @property
    def runs(self) -> bool:
        """False for an image that neither trains nor serves."""
        return self.claims["train"][0] or self.claims["serve"][0]


def examine(asked: Asked, say: Callable[[str], None]) -> Examined:
    """Look at the image without its tests; it is pulled where it is not here.

    Raises:
        ToolkitError: there is no such image, or no such profile.
    """
    facts = _local(asked.image, say)
    files = read_layers(asked.image)
    found = find_claims(asked.image, facts, files)
    base = choose(asked.image, found, asked.given)
    told = {**_facts(facts, files), "profile": Path(base).stem or "made from what was found"}
    return Examined(told, settled(found, base, asked.given), base, bool(files.program("python3")))


def verify(asked: Asked, examined: Examined, progress: suite.Progress) -> Verification:
    """Run the tests of what the image claims.

    An image that claims nothing is looked at only: whether it ought to train or to serve nobody knows, and
    so the rules of both stand against it.

    Raises:
        ToolkitError: the tests could not be run.
    """
    began = time.monotonic()
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix="opt-ml-verify-") as directory:
        profile = Path(directory) / "profile.json"
        claims = examined.claims
        if not examined.runs:
            claims = {**claims, "train": (True, ""), "serve": (True, "")}
        write_profile(profile, examined.base, claims, asked.given, examined.has_python)
        asked_rules = chosen(asked.only)
        levels = within(asked.level)
        wanted = frozenset(rule for rule in asked_rules if rules()[rule].level in levels)
        run = suite.Run(
            asked.image,
            str(profile),
            only=wanted if wanted != frozenset(rules()) else frozenset(),
            workers=asked.workers if examined.runs and len(asked_rules) >= FEW else 1,
            start_limit=asked.start_limit,
            job_limit=asked.job_limit,
            tests=() if examined.runs else STATIC,
        )
        tests = suite.run(run, progress)
    return Verification(
        image=asked.image,
        facts=examined.facts,
        claims=examined.claims,
        tests=tests,
        rules=by_rule(tests, asked_rules, levels),
        seconds=round(time.monotonic() - began, 1),
        started=started,
        only=() if asked_rules == frozenset(rules()) else asked.only,
    )


def _local(image: str, say: Callable[[str], None]) -> Mapping[str, Any]:
    """What `docker image inspect` says of an image that is here now."""
    engine()
    if inspect_image(image) is None:
        say(f"Pulling {image} ...")
        if problem := pull_image(image, PLATFORM):
            last = problem.splitlines()[-1]
            raise ToolkitError(
                f"There is no image {image} on this machine, and it cannot be pulled: {last}",
                "`docker images` lists those that are here; `docker login` opens a private registry.",
            )
    return engine().image(image)


def _facts(facts: Mapping[str, Any], files: ImageFiles) -> dict[str, str]:
    config = facts["Config"]
    found = {
        "id": str(facts["Id"]).removeprefix("sha256:")[:12],
        "platform": f"{facts['Os']}/{facts['Architecture']}",
        "size": readable_size(sum(files.sizes)),
        "layers": str(len(files.layers)),
        "ENTRYPOINT": str(config.get("Entrypoint") or "none"),
        "CMD": str(config.get("Cmd") or "none"),
    }
    digests = facts.get("RepoDigests") or []
    return {**found, **({"digest": digests[0]} if digests else {})}
