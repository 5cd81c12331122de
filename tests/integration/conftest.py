"""Tests that need a Docker engine, and an image small enough to be made for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import tiny_image


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def tiny() -> Iterator[str]:
    """The tiny image."""
    with tiny_image.tiny() as image:
        yield image


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A train file of two rows; the mean label is 5."""
    path = tmp_path / "data.csv"
    path.write_text("1,2,4\n3,4,6\n")
    return path
