"""The commit that images are made from, and their date."""

from __future__ import annotations

import subprocess

import pytest

from toolkit.building import revision
from toolkit.building.bake import Surroundings, make_definition
from toolkit.building.builder import look_around
from toolkit.building.plan import plan_on_base
from toolkit.building.revision import Revision, find_revision
from toolkit.errors import ToolkitError


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of one commit, from the first second of 2026."""
    monkeypatch.setattr(revision, "ROOT", tmp_path)
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "a"]):
        dates = {"GIT_COMMITTER_DATE": "1767225600 +0000", "GIT_CONFIG_GLOBAL": "/dev/null"}
        subprocess.run(["git", "-C", str(tmp_path), *command], env=dates, check=True)
    return tmp_path


def test_an_image_has_the_time_of_its_commit_and_source_date_epoch_stands_before_it(checkout):
    found = find_revision({})
    assert len(found.commit) == 40
    assert found.epoch == "1767225600"
    assert find_revision({"SOURCE_DATE_EPOCH": "7"}) == Revision(found.commit, "7")


def test_a_machine_without_the_history_is_told_it_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(revision, "ROOT", tmp_path)
    assert find_revision({}) == Revision()
    told = Revision("0123", "7")
    assert find_revision(told.as_variables()) == told


@pytest.mark.parametrize("wrong", ["yesterday", "-1", "1.5", "²"])
def test_a_date_that_is_no_number_of_seconds_is_refused(checkout, wrong):
    with pytest.raises(ToolkitError, match="SOURCE_DATE_EPOCH") as caught:
        find_revision({"SOURCE_DATE_EPOCH": wrong})
    assert "unset" in caught.value.cure


def test_every_target_of_a_build_gets_the_date(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    surroundings = look_around()
    assert isinstance(surroundings, Surroundings)
    definition = make_definition(plan_on_base(["ensemble-cpu"], None), surroundings)
    assert {target["args"]["SOURCE_DATE_EPOCH"] for target in definition["target"].values()} == {"7"}
