"""A model's requirements.txt in a container that has no network and can write nowhere but below /tmp."""

from __future__ import annotations

import hashlib
import io
import zipfile
from base64 import urlsafe_b64encode

import pytest

from tests.conformance.endpoints import Handlers
from toolkit.serving.endpoint import EndpointError

HANDLER = """
import only_in_the_model

def model_fn(model_dir):
    return only_in_the_model.NAME

def transform_fn(model, body, content_type, accept):
    return f"{model} {only_in_the_model.__file__}", "text/plain"
"""


def wheel() -> bytes:
    """A wheel of one module."""
    information = "only_in_the_model-1.0.dist-info"
    files = {
        "only_in_the_model.py": "NAME = 'found'",
        f"{information}/METADATA": "Metadata-Version: 2.1\nName: only-in-the-model\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{name},sha256={urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        for name, text in files.items()
    ]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in {**files, f"{information}/RECORD": "\n".join(record)}.items():
            archive.writestr(name, text)
    return stream.getvalue()


@pytest.mark.contract("HANDLER-13", "AG-02", "MHCS-04", "HOST-93", "HOST-115")
@pytest.mark.parametrize("place", ["code/", ""], ids=["code", "model"])
def test_wheels_beside_requirements_are_installed_without_a_network(place: str, handlers: Handlers) -> None:
    files = {
        f"{place}requirements.txt": "only-in-the-model==1.0\n",
        f"{place}requirements/only_in_the_model-1.0-py3-none-any.whl": wheel(),
    }
    options = {"isolated": True, "read_only": True, "user": "993:990"}
    with handlers.serve(HANDLER, files, **options) as served:
        said, path = served.invoke(b"1", "text/csv").text.split()
    assert said == "found"
    assert path.startswith("/tmp/")


@pytest.mark.contract("HANDLER-13", "HOST-114")
def test_a_package_that_is_out_of_reach_ends_the_start_soon_and_says_why(handlers: Handlers) -> None:
    files = {"code/requirements.txt": "only-in-the-model==1.0\n"}
    with (
        pytest.raises(EndpointError) as caught,
        handlers.serve(HANDLER, files, isolated=True, start_limit=60),
    ):
        pass
    assert "InstallRequirementsError: /opt/ml/model/code/requirements.txt cannot be installed" in str(
        caught.value
    )
    assert "network isolation" in str(caught.value)
