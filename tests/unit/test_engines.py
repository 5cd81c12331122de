"""What the pages of images say of their differences is what their profiles say."""

from __future__ import annotations

import pytest

from tests.conformance.profile import PROFILES, read_profile
from toolkit.building import images

DIFFERING = sorted(path.stem for path in PROFILES.glob("*.toml") if read_profile(path.stem).differences)


@pytest.mark.parametrize("name", DIFFERING)
def test_the_page_of_an_image_lists_each_difference(name):
    page = " ".join((images.matrix()[name].folder / "README.md").read_text(encoding="utf-8").split())
    assert [row.reason for row in read_profile(name).differences if f"- {row.reason}" not in page] == []


def test_the_other_engines_differ():
    assert {"mms-ensemble-cpu", "torchserve-pytorch-cpu"} <= set(DIFFERING)
