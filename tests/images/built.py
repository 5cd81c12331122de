"""Images of the matrix for the tests that name them."""

from __future__ import annotations

from toolkit.building import builder, images
from toolkit.building.plan import make_plan


def built(name: str) -> images.Image:
    """An image of the matrix, which is there afterwards."""
    builder.execute(make_plan([name], images.matrix()), builder.look_around())
    return images.find(name)
