"""Inference pipelines: containers of the tiny image behind one another, asked by boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import tiny_image
from tests.integration.endpoints import boto, error_of, running
from toolkit.errors import ToolkitError
from toolkit.hosting.fleet import ContainerDefinition
from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint


@pytest.fixture(scope="module")
def particular(tiny: str) -> Iterator[str]:
    """An image that refuses a request without a Content-Type."""
    with tiny_image.variant("particular", "ENV FAULT=needs-content-type-header") as image:
        yield image


@pytest.fixture
def pipeline(tiny: str, particular: str, tmp_path: Path) -> tuple[ContainerDefinition, ...]:
    """The first gives one column, 22 characters each row; the second takes one."""
    made = []
    for image, name, model in (
        (tiny, "first", {"mean": 1 / 3e300, "features": 2}),
        (particular, "second", {"mean": 8.0, "features": 1}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text(json.dumps(model))
        made.append(ContainerDefinition(image, tmp_path / name, hostname=name))
    return tuple(made)


@pytest.mark.contract("PIPE-01", "PIPE-05", "PIPE-06", "PIPE-08")
def test_a_pipeline_hands_each_answer_to_the_next_container(pipeline: Any) -> None:
    with running(EndpointConfig("chain", pipeline)) as (endpoint, _):
        # The second gets the type of the first one's answer, whatever the client has said.
        answer = boto(endpoint).invoke_endpoint(EndpointName="chain", Body=b"1,2\n3,4\n")
        assert answer["Body"].read() == b"8.0\n8.0"
        error = error_of(
            lambda: boto(endpoint).invoke_endpoint(EndpointName="chain", ContentType="text/csv", Body=b"1\n")
        )
        too_much = error_of(
            lambda: boto(endpoint).invoke_endpoint(
                EndpointName="chain", ContentType="text/csv", Body=b"1,2\n" * 250_000
            )
        )
    assert "from first with message" in error["Error"]["Message"]
    assert "maximum limit of 5 MB" in too_much["OriginalMessage"]


@pytest.mark.contract("PIPE-07")
def test_in_direct_mode_the_client_names_the_container(pipeline: Any) -> None:
    with running(EndpointConfig("named", pipeline, is_direct=True)) as (endpoint, _):
        answer = boto(endpoint).invoke_endpoint(
            EndpointName="named", TargetContainerHostname="second", ContentType="text/csv", Body=b"1\n"
        )
        assert answer["Body"].read() == b"8.0"
        error = error_of(lambda: boto(endpoint).invoke_endpoint(EndpointName="named", Body=b"1\n"))
    assert "first, second" in error["Error"]["Message"]


@pytest.mark.contract("PIPE-03")
def test_an_image_without_the_label_is_refused_in_a_pipeline(tiny: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"mean": 5.0, "features": 2}))
    label = "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=false"
    with tiny_image.variant("unlabelled", label) as image:
        definitions = (
            ContainerDefinition(tiny, tmp_path, hostname="a"),
            ContainerDefinition(image, tmp_path, hostname="b"),
        )
        with pytest.raises(ToolkitError, match="accept-bind-to-port=true"):
            LocalEndpoint(EndpointConfig("x", definitions), print).__enter__()
