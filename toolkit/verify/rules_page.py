"""docs/contract.md: every rule of the contract as a page, made from the files that the tests cite."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from toolkit.building.images import ROOT
from toolkit.verify.contract import SUITE

PAGE = ROOT / "docs" / "contract.md"
ZOO = SUITE.parent / "zoo" / "zoo.toml"
_NO_IMAGES = ("together", "without")  # tables of that file that hold reasons
SECTIONS = {
    "TRAIN": "Training jobs",
    "TT": "Your training script, as AWS's images run it",
    "V3": "ModelTrainer of SDK 3",
    "LOCAL": "Local mode of the SDK",
    "HOST": "Endpoints",
    "PIPE": "Pipelines of containers",
    "MME": "Many models",
    "BATCH": "Batch transform",
    "HANDLER": "Your inference.py",
    "AG": "AutoGluon's handlers",
    "MHCS": "AWS's model-hosting standards",
    "IMG": "The image itself",
    "CB": "Builds in AWS CodeBuild",
}
_HEAD = """# The SageMaker container contract

Made from [contract.toml](../tests/conformance/contract.toml) by `./build.py generate`: change it there.
`./build.py verify IMAGE_URI` tries an image against these rules.

A container that breaks a MUST breaks on SageMaker (MUST-gap: AWS's own toolkit breaks it, too); one that
breaks a SHOULD breaks for some users. SIM is what the platform does, and what an image has to cope with;
LIM a limit of the platform; MAY an option. "Broken by" names images of the [zoo](../tests/zoo/zoo.toml) that
break the rule, to see that its tests notice (`make zoo`). Sources: DG is the SageMaker Developer Guide, API
the service models of botocore; the head of contract.toml explains all.
"""


def page_text() -> str:
    """The page."""
    contract = tomllib.loads((SUITE / "contract.toml").read_text(encoding="utf-8"))
    groups = tomllib.loads((SUITE / "untested.toml").read_text(encoding="utf-8"))
    untested = {rule: reason for group in groups.values() for rule, reason in group.items()}
    images = _images()
    parts = [
        _HEAD,
        *(
            line
            for name, title in SECTIONS.items()
            for line in _section(name, title, contract, untested, images)
        ),
    ]
    return "\n".join(parts) + "\n"


def _images() -> dict[str, list[str]]:
    """Rule -> the images of the zoo that break it."""
    zoo = tomllib.loads(ZOO.read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for base, entries in zoo.items():
        if base not in _NO_IMAGES:
            for name, entry in entries.items():
                found.setdefault(entry["rule"], []).append(name)
    return found


def _section(
    name: str,
    title: str,
    contract: Mapping[str, Mapping[str, str]],
    untested: Mapping[str, str],
    images: Mapping[str, list[str]],
) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| Rule | Level | What it says | Broken by | Source |"
    yield "|---|---|---|---|---|"
    for rule, facts in contract.items():
        if rule.rpartition("-")[0] == name:
            reason = f" *Not tested: {untested[rule]}*" if rule in untested else ""
            broken_by = ", ".join(images.get(rule, ()))
            cells = (rule, facts["level"], facts["rule"] + reason, broken_by, facts.get("source", ""))
            yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
    yield ""


def generate() -> dict[Path, str]:
    """The page, with the content that it should have."""
    return {PAGE: page_text()}
