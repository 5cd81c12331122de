"""What the tests of pushes share: an image made for them, the command, and a look at the wire."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
from pathlib import Path

import pytest

from toolkit import cli
from toolkit.namespace import LOCAL_NAMESPACE
from toolkit.registry.acceptance import CONFIG, LAYER, MANIFEST, OCI_INDEX

REGION = "eu-west-1"
IMAGE = f"{LOCAL_NAMESPACE}/pushed:latest"
FOUND = "sagemaker/pushed"
LARGE = 3_000_000  # bytes of the larger layer, which nothing makes smaller


def build(directory: Path, text: str, host: str | None = None, tag: str = IMAGE) -> str:
    """An image from nothing, of an incompressible layer that is always the same, and of a text."""
    (directory / "large").write_bytes(noise(LARGE))
    (directory / "text").write_text(text)
    (directory / "Dockerfile").write_text(
        'FROM scratch\nCOPY large /\nCOPY text /\nENV NAME=value\nENTRYPOINT ["/text"]\n'
        "LABEL org.opencontainers.image.revision=0123456789abcdef\n"
    )
    client = ["docker", *(["--host", host] if host else [])]
    command = [*client, "buildx", "build", "--quiet", "--load", "--tag", tag, str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    return tag


def noise(size: int) -> bytes:
    return random.Random(0).randbytes(size)


def manifest(host: str, repository: str, tag: str) -> tuple[str, dict]:
    """Content-Type and body, asked for with everything that there is."""
    status, kind, body = fetch(host, f"/v2/{repository}/manifests/{tag}")
    assert status == 200, body
    return kind, json.loads(body)


def fetch(host: str, path: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection(host)
    oci = "application/vnd.oci.image.manifest.v1+json"
    connection.request("GET", path, headers={"Accept": f"{MANIFEST}, {OCI_INDEX}, {oci}"})
    answer = connection.getresponse()
    return answer.status, answer.headers.get("Content-Type", ""), answer.read()


def push(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `build.py push`."""
    code = cli.main(["push", *arguments])
    shown = capsys.readouterr()
    print(shown.err)  # for whoever looks at a failed test
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


def assert_schema_2(host: str, repository: str, tag: str) -> dict:
    kind, body = manifest(host, repository, tag)
    assert kind == body["mediaType"] == MANIFEST
    assert body["config"]["mediaType"] == CONFIG
    assert {layer["mediaType"] for layer in body["layers"]} == {LAYER}
    return body
