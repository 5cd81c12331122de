"""What only one family does: facts of its image from outside, and its own tests run inside it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.images.built import built
from toolkit.building import images

HERE = Path(__file__).parent

# `inside` runs in the image (test_inside.py). On a machine that has the family's packages it runs as it is.
FRAMEWORKS = {"ensemble": "catboost", "autogluon": "autogluon", "pytorch": "torch"}
collect_ignore = [
    f"{family}/inside" for family, framework in FRAMEWORKS.items() if find_spec(framework) is None
]
# `make test` builds it. Other images are large or slow: `make test-NAME` names them.
DEFAULT_IMAGE = "ensemble-cpu"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.docker)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`our_image`: that of --image, else the default and what stands on it; of a family in its folder."""
    if "our_image" not in metafunc.fixturenames:
        return
    asked = metafunc.config.getoption("--image")
    family = Path(metafunc.definition.path).parent
    chosen = [
        image
        for image in images.matrix().values()
        if (image.name == asked if asked else DEFAULT_IMAGE in (image.name, image.variant.base))
        and family in (HERE, HERE / image.folder.name)
    ]
    metafunc.parametrize("our_image", chosen, ids=[image.name for image in chosen], indirect=True)


@pytest.fixture(scope="session")
def our_image(request: pytest.FixtureRequest) -> images.Image:
    """An image of the matrix, which is built."""
    image: images.Image = request.param
    return built(image.name)
