"""What only one family does: facts of its image from outside, and its own tests run inside it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from toolkit import images

HERE = Path(__file__).parent

# `inside` runs in the image (test_inside.py). On a machine that has the family's packages it runs as it is.
if find_spec("catboost") is None:
    collect_ignore_glob = ["*/inside"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.docker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`our_image`: each image with a base (or the one of --image); in a family's folder, only its own."""
    if "our_image" not in metafunc.fixturenames:
        return
    asked = metafunc.config.getoption("--image")
    family = Path(metafunc.definition.path).parent
    chosen = [
        image
        for image in images.matrix().values()
        if image.variant.base and asked in (None, image.name) and family in (HERE, HERE / image.folder.name)
    ]
    metafunc.parametrize("our_image", chosen, ids=[image.name for image in chosen])
