"""The rules that code and tests cite are rules of the contract."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RULES = tomllib.loads((ROOT / "tests" / "conformance" / "contract.toml").read_text(encoding="utf-8"))
RULE_ID = r"\b(TRAIN|TT|V3|HOST|PIPE|MME|BATCH|HANDLER|AG|MHCS|IMG|LOCAL|CB)-[0-9]+\b"


def cited_ids():
    found = subprocess.run(
        ["git", "-C", str(ROOT), "grep", "-ohE", RULE_ID, "--", ".", ":!tests/conformance/contract.toml"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return set(found)


def test_every_rule_that_is_cited_exists():
    cited = cited_ids()
    assert len(cited) > 100
    assert cited - set(RULES) == set()


@pytest.mark.parametrize("key", ["level", "rule"])
def test_every_rule_has_its(key):
    assert [rule_id for rule_id, rule in RULES.items() if not rule.get(key)] == []


def test_levels_are_those_that_the_file_explains():
    levels = {rule["level"] for rule in RULES.values()}
    assert levels == {"MUST", "MUST-gap", "SHOULD", "MAY", "SIM", "LIM"}
