"""Which tests are run on an image: those of what it claims, where enough is known to try it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.conformance.profile import Profile

# fixture -> what the image must claim for the tests that use it; further claims stand in `mark.needs`
CAPABILITIES = {
    "make_job": "train",
    "trained": "train",
    "model": "serve",
    "start_limit": "serve",
    "scripts": "script_mode",
    "handlers": "handlers",
    "many": "multi_model",
    "with_sessions": "sessions",
    "with_streams": "bidirectional",
    "with_chats": "chats",
    "parts": "table",
}
# Of the profile itself: whoever misses one of them has told too little, and the image may well have it.
KNOWLEDGE = {
    "table": "the algorithm is tried on data of yours, and this takes CSV of four numbers and a label",
    "records": "the payload has no lines that are records of their own",
    "growable": "the payload is neither lines nor JSON, and so no larger one is known",
    "metric": "no metric of the log is known: `metric` of a profile names one",
    "python": "there is no python3 in the image, by which a container without a network is asked",
    "model_file": "there is no model: give one",
}


def choose(items: Sequence[pytest.Item], profile: Profile, config: pytest.Config) -> list[pytest.Item]:
    """Mark the tests that are not run, or that must fail where the image is meant to differ.

    Returns:
        those to be left out; where results are written none but those that nobody asked for, because a
        report says of the others why they are not run.
    """
    left_out = []
    asked = set(filter(None, (config.getoption("--only", None) or "").split(",")))
    for item in items:
        differences = [row for row in profile.differences if row.names(item)]
        for row in differences:
            # A report counts what is lacking as a whole as not claimed, and not as broken.
            reason = f"not claimed: {row.reason}" if row.lacks else row.reason
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
        witnessed = {row.lacks for row in differences}
        lacking = [need for need in needs_of(item) if not has(profile, need) and need not in witnessed]
        if asked and asked.isdisjoint(rules_of(item)):
            left_out.append(item)
        elif lacking and config.getoption("--results", None):
            # Before a mark that pytest has set where a parameter has no values.
            item.add_marker(pytest.mark.skip(reason=why_not(profile, lacking[0])), append=False)
        elif lacking:
            left_out.append(item)
    return left_out


def rules_of(item: pytest.Item) -> list[str]:
    """The rules that a test checks."""
    return [rule for mark in item.iter_markers("contract") for rule in mark.args]


def is_foundation(item: pytest.Item) -> bool:
    """True for a test that shows whether the image trains, or serves, at all."""
    return any(not mark.args for mark in item.iter_markers("foundation"))


def shows_container(item: pytest.Item) -> bool:
    """True for the test that shows whether the server starts as a fixture of its module runs it."""
    fixtures = {fixture for mark in item.iter_markers("foundation") for fixture in mark.args}
    return not fixtures.isdisjoint(getattr(item, "fixturenames", ()))


def needs_of(item: pytest.Item) -> list[str]:
    """What the image must claim, and its profile must know, for a test to be run."""
    return [*used_by(item), *(need for mark in item.iter_markers("needs") for need in mark.args)]


def used_by(item: pytest.Item) -> list[str]:
    """What the image must claim for the fixtures of a test."""
    fixtures = getattr(item, "fixturenames", ())
    return list(dict.fromkeys(need for fixture, need in CAPABILITIES.items() if fixture in fixtures))


def has(profile: Profile, need: str) -> bool:
    """Whether the image claims it, or its profile knows it."""
    if need == "table":
        return not profile.channels
    if need == "model_file":
        return profile.train or profile.model is not None
    return bool(getattr(profile, need))


def why_not(profile: Profile, need: str) -> str:
    """The reason of a test that is not run, with the status that it has in a report."""
    if need in KNOWLEDGE:
        return f"could not tell: {KNOWLEDGE[need]}"
    return f"not claimed: {profile.lacks.get(need, need.replace('_', ' '))}"
