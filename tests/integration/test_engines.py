"""Every serving engine faces the same tests of the contract: a part of them, for one in an image of its own.

`make test-mms-ensemble-cpu` runs all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.profile import read_profile
from tests.conformance.results import NOT_CLAIMED
from toolkit.building import builder, images
from toolkit.building.plan import make_plan

pytestmark = pytest.mark.docker

IMAGE = "mms-ensemble-cpu"
# Requests, handlers that fail, what the server's own configuration decides, and whatever shows a difference.
CHOSEN = ("test_invocations", "test_handler_ends", "test_good_requests_have_no_line")


def test_multi_model_server_differs_where_its_profile_says_so_and_nowhere_else(tmp_path: Path) -> None:
    results = tmp_path / "results"
    builder.execute(make_plan([IMAGE], images.matrix()), builder.look_around())
    differences = read_profile(IMAGE).differences
    differing = [name for row in differences for name in row.tests]
    chosen = " or ".join([*CHOSEN, *(name.partition("[")[0] for name in differing)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]
    command += ["-p", "tests.conformance.results", "--results", str(results)]
    result = subprocess.run(
        [*command, "--image", IMAGE, "-k", chosen, "tests/conformance"],
        cwd=images.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    # A report says of what is lacking as a whole that it is not claimed, and counts it against nothing.
    events = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    status = {one["test"].partition("::")[2]: one["status"] for one in events if one["event"] == "ended"}
    lacking = [name for row in differences if row.lacks for name in row.tests]
    assert {name: status[name] for name in lacking} == dict.fromkeys(lacking, NOT_CLAIMED)
