"""Our `train` beside `sagemaker-training` 5.1.4, in one container: the tests of `inside` run there."""

from __future__ import annotations

import subprocess

import pytest

from tests.differential.toolkit_image import build_toolkit_image
from toolkit.building import images

pytestmark = pytest.mark.docker


@pytest.mark.contract("TT-30", "TT-31", "TT-32", "TT-34", "TT-35", "TT-40", "TT-41", "TT-50", "TT-53")
def test_every_variable_and_argument_is_that_of_the_aws_toolkit():
    # With its usual network: without eth0 the interface is another (LOCAL-22).
    command = ["docker", "run", "--rm", "-e", "HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis"]
    command += ["-e", "SAGEMAKER_BASE_DIR=/opt/ml"]  # the toolkit looks on import, when there is none yet
    command += ["-v", f"{images.ROOT}:/checkout:ro", "-w", "/checkout/tests/differential/inside"]
    command += [build_toolkit_image(), "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-c", "/checkout/pyproject.toml", "-o", "pythonpath=", "--confcutdir=.", "."]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
