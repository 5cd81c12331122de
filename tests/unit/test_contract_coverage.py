"""Each rule of training and of hosting is checked by a test, or is written down with the reason why not."""

from __future__ import annotations

import ast
import tomllib

import pytest

from tests.unit.checkout import ROOT, checkout_files

CONFORMANCE = ROOT / "tests" / "conformance"
RULES = tomllib.loads((CONFORMANCE / "contract.toml").read_text(encoding="utf-8"))
UNTESTED = tomllib.loads((CONFORMANCE / "untested.toml").read_text(encoding="utf-8"))
SECTIONS = (
    *("TRAIN", "TT", "V3", "LOCAL"),
    *("HOST", "PIPE", "MME", "BATCH", "HANDLER", "AG", "MHCS", "IMG", "CB"),
)
OPTIONAL = "MAY"


def ids_in_markers(source):
    """The texts in each `mark.contract(...)` of a module, starred tuples included."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "contract"
        ):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


@pytest.fixture(scope="module")
def tested():
    modules = (path for path in checkout_files() if path.suffix == ".py" and ROOT / "tests" in path.parents)
    return {rule for path in modules for rule in ids_in_markers(path.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def reasons():
    return {rule: reason for group in UNTESTED.values() for rule, reason in group.items()}


def of_a_section(rule):
    return rule.rpartition("-")[0] in SECTIONS


def test_markers_name_rules_that_exist(tested):
    assert tested - set(RULES) == set()


def test_every_rule_has_a_test_or_a_reason(tested, reasons):
    due = {rule for rule, facts in RULES.items() if of_a_section(rule) and facts["level"] != OPTIONAL}
    assert len(due) > 350
    assert sorted(due - tested - set(reasons)) == []


def test_no_rule_has_both(tested, reasons):
    assert sorted(tested & set(reasons)) == []


def test_a_reason_is_a_sentence_about_a_rule_of_these_sections(reasons):
    assert sum(len(group) for group in UNTESTED.values()) == len(reasons), "a rule stands in two groups"
    assert [rule for rule in reasons if rule not in RULES or not of_a_section(rule)] == []
    assert [rule for rule, reason in reasons.items() if len(reason) < 20 or reason[-1] not in ".)"] == []


def test_ids_are_found_in_every_form_of_a_marker():
    source = """
@pytest.mark.contract("TRAIN-01", *("TT-02", "V3-03"))
def test_one(): ...
pytestmark = [pytest.mark.docker, pytest.mark.contract("LOCAL-04")]
case = pytest.param(1, marks=pytest.mark.contract("TRAIN-05"))
"""
    assert sorted(ids_in_markers(source)) == ["LOCAL-04", "TRAIN-01", "TRAIN-05", "TT-02", "V3-03"]
