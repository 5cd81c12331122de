"""Images of a registry, with manifests that no builder of ours would make."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.registry import registry
from toolkit.namespace import LOCAL_NAMESPACE

SCHEMA_2 = "application/vnd.docker.distribution.manifest.v2+json"


@contextmanager
def pushed(name: str, media_types: Mapping[str, str], scratch: Path) -> Iterator[str]:
    """An image of one empty directory, pulled from a registry of its own; removed after the block.

    Args:
        name: of the repository.
        media_types: that its manifest has in the place of others.
        scratch: an empty directory.
    """
    with registry(scratch) as address:
        repository = f"{address}/{LOCAL_NAMESPACE}/{name}"
        _docker("import", "-", f"{repository}:sound", data=_one_directory())
        try:
            _docker("push", "--quiet", f"{repository}:sound")
        finally:
            _docker("rmi", "--force", f"{repository}:sound")
        _put(f"http://{address}/v2/{LOCAL_NAMESPACE}/{name}/manifests", media_types)
        _docker("pull", "--quiet", f"{repository}:broken")
        try:
            yield f"{repository}:broken"
        finally:
            _docker("rmi", "--force", f"{repository}:broken")


def _one_directory() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("tmp")
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    return buffer.getvalue()


def _put(manifests: str, media_types: Mapping[str, str]) -> None:
    """Write the sound manifest once more, changed, as the tag `broken`."""
    asked = urllib.request.Request(f"{manifests}/sound", headers={"Accept": SCHEMA_2})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        text = answer.read().decode()
    for usual, other in media_types.items():
        assert f'"{usual}"' in text
        text = text.replace(f'"{usual}"', f'"{other}"')
    headers = {"Content-Type": json.loads(text)["mediaType"]}
    changed = urllib.request.Request(f"{manifests}/broken", text.encode(), headers, method="PUT")
    with urllib.request.urlopen(changed, timeout=30):
        pass


def _docker(*arguments: str, data: bytes | None = None) -> None:
    subprocess.run(["docker", *arguments], check=True, input=data, capture_output=True)
