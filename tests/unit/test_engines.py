"""What the pages of images say of their differences is what their profiles say."""

from __future__ import annotations

import json

import pytest

from tests.conformance.profile import PROFILES, read_profile
from toolkit.building import images
from toolkit.verify.claims import NAMES
from toolkit.verify.peers_page import RESULTS

VERIFIED = sorted(path.stem for path in RESULTS.glob("*.json") if path.stem in images.matrix())
DIFFERING = sorted(path.stem for path in PROFILES.glob("*.toml") if read_profile(path.stem).differences)


@pytest.mark.parametrize("name", DIFFERING)
def test_the_page_of_an_image_lists_each_difference(name):
    page = " ".join((images.matrix()[name].folder / "README.md").read_text(encoding="utf-8").split())
    assert [row.reason for row in read_profile(name).differences if f"- {row.reason}" not in page] == []


def test_the_other_engines_differ():
    assert {"mms-ensemble-cpu", "torchserve-pytorch-cpu"} <= set(DIFFERING)


@pytest.mark.parametrize("name", VERIFIED)
def test_an_image_of_ours_breaks_no_rule_but_where_it_is_meant_to_differ(name):
    """By its stored result, of which docs/peers.md is made."""
    broken = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["broken"]
    reasons = {row.reason for row in read_profile(name).differences}
    assert {rule: seen for rule, seen in broken.items() if not reasons.issuperset(seen)} == {}


@pytest.mark.parametrize("name", DIFFERING)
def test_what_an_engine_lacks_has_words_in_a_report(name):
    assert {row.lacks for row in read_profile(name).differences if row.lacks} <= set(NAMES)
