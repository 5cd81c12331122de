"""The rules that code and tests cite are rules of the contract."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.unit.checkout import ROOT, checkout_files

RULES = tomllib.loads((ROOT / "tests" / "conformance" / "contract.toml").read_text(encoding="utf-8"))
RULE_ID = r"\b(?:TRAIN|TT|V3|HOST|PIPE|MME|BATCH|HANDLER|AG|MHCS|IMG|LOCAL|CB)-[0-9]+\b"


def cited_ids():
    texts = (path.read_text(encoding="utf-8") for path in checkout_files() if path.name != "contract.toml")
    return {rule_id for text in texts for rule_id in re.findall(RULE_ID, text)}


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
