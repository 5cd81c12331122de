"""Every serving engine faces the same tests of the contract: here those that are in images of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from toolkit import builder, images
from toolkit.plan import make_plan

pytestmark = pytest.mark.docker

SERVING = ("serve", "invocations", "http", "hosting", "batch", "handlers", "handler_ends")


def test_multi_model_server_differs_where_its_profile_says_so_and_nowhere_else() -> None:
    builder.execute(make_plan(["mms-ensemble-cpu"], images.matrix()), builder.look_around())
    files = [f"tests/conformance/test_{name}.py" for name in SERVING]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
    result = subprocess.run(
        [*command, "--image", "mms-ensemble-cpu", *files],
        cwd=images.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
