"""Each MUST that the conformance suite checks has an image that breaks it, or a reason why there is none."""

from __future__ import annotations

import ast
import tomllib

import pytest

from tests.zoo.entries import CONTRACT, HERE, MUST, SUITE, faults, marks, zoo

ZOO = zoo()
ENTRIES = pytest.mark.parametrize("entry", ZOO.entries, ids=[entry.name for entry in ZOO.entries])


def test_every_must_has_an_image_that_breaks_it_or_a_reason():
    groups = tomllib.loads((SUITE / "untested.toml").read_text(encoding="utf-8"))
    untested = {rule for group in groups.values() for rule in group}
    due = {rule for rule, facts in CONTRACT.items() if facts["level"] in MUST} - untested
    assert len(due) > 80
    assert sorted(due - {entry.rule for entry in ZOO.entries} - set(ZOO.without)) == []


def test_no_rule_has_both_an_image_and_a_reason():
    assert sorted({entry.rule for entry in ZOO.entries} & set(ZOO.without)) == []


def test_reasons_are_sentences_about_what_there_is():
    assert sorted(set(ZOO.without) - set(CONTRACT)) == []
    assert sorted(set(ZOO.together) - {test for entry in ZOO.entries for test in entry.tests}) == []
    told = {**ZOO.together, **ZOO.without}
    told |= {entry.name: reason for entry in ZOO.entries for reason in (*entry.also.values(), entry.slow)}
    assert [name for name, reason in told.items() if reason and (len(reason) < 15 or reason[-1] != ".")] == []


def test_names_of_images_are_used_once():
    names = [entry.name for entry in ZOO.entries]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@ENTRIES
def test_tests_that_fail_are_tests_of_the_broken_rule(entry):
    unknown = [test for test in entry.tests if test not in marks()]
    assert unknown == []
    wanted = {entry.rule, *entry.also}
    assert [test for test in entry.tests if wanted.isdisjoint(marks()[test])] == []
    assert entry.rule in entry.broken


@ENTRIES
def test_each_further_rule_that_is_broken_has_a_reason(entry):
    shared = {rule for test in entry.tests if test in ZOO.together for rule in marks()[test]}
    assert sorted(entry.duties - {entry.rule} - set(entry.also) - shared) == []


def test_every_fault_has_an_image_and_every_image_its_change():
    assert sorted(faults() - {entry.name for entry in ZOO.entries}) == []
    unchanged = [
        entry.name
        for entry in ZOO.entries
        if not (entry.is_fault or entry.instructions or entry.files or entry.media_types)
    ]
    assert unchanged == []


def test_every_fault_says_what_it_does():
    modules = [ast.parse(path.read_text(encoding="utf-8")) for path in (HERE / "faults").glob("*.py")]
    functions = [node for tree in modules for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert len(functions) > 90
    silent = [node.name for node in functions if not ast.get_docstring(node)]
    assert [name for name in silent if not name.startswith("_")] == []
