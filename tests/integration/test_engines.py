"""Every serving engine faces the same tests of the contract: a part of them, for one in an image of its own.

`make test-mms-ensemble-cpu` runs all of them.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conformance.profile import read_profile
from toolkit.building import builder, images
from toolkit.building.plan import make_plan

pytestmark = pytest.mark.docker

IMAGE = "mms-ensemble-cpu"
# Requests, handlers that fail, and whatever shows a difference.
MODULES = ("test_invocations", "test_handler_ends")


def test_multi_model_server_differs_where_its_profile_says_so_and_nowhere_else() -> None:
    builder.execute(make_plan([IMAGE], images.matrix()), builder.look_around())
    differing = [name for row in read_profile(IMAGE).differences for name in row.tests]
    chosen = " or ".join([*MODULES, *(name.partition("[")[0] for name in differing)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
    result = subprocess.run(
        [*command, "--image", IMAGE, "-k", chosen, "tests/conformance"],
        cwd=images.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
