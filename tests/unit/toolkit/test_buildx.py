"""What is said of a build that failed."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from toolkit.errors import WorkError
from toolkit.machine import buildx, docker


@pytest.mark.parametrize(
    ("free", "cure"),
    [(5_000_000, "has 5 MB left: `docker system df`"), (9_000_000_000, "Network or TLS trouble?")],
)
def test_a_failed_build_on_a_full_disk_says_how_to_make_room(tmp_path, monkeypatch, free, cure):
    """The disk is not real, and `docker` is a program that fails."""
    engine = docker.Engine("26.1", "x86_64", "overlay2", tmp_path)
    monkeypatch.setattr(docker, "find_engine", lambda: engine)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(WorkError, match="the build of tiny failed") as caught:
        buildx.bake({"target": {}}, ["tiny"])
    assert cure in caught.value.cure
    assert caught.value.exit_code == 1
