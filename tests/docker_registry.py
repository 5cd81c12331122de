"""A registry on this machine: Debian's docker-registry, on a port that the kernel chooses."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.machine import engine

# Loopback: engines speak HTTP to it without being told to.
CONFIGURATION = """version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:0"}}
"""
_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")


@contextmanager
def docker_registry(directory: Path) -> Iterator[str]:
    """Its address, `127.0.0.1:PORT`, for as long as the block runs; it keeps its files in `directory`."""
    if not shutil.which("docker-registry"):
        engine.install_package("docker-registry")
    configuration, log = directory / "registry.yml", directory / "registry.log"
    configuration.write_text(CONFIGURATION.format(root=directory / "registry"))
    with log.open("wb") as lines:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(configuration)], stdout=lines, stderr=lines
        )
    try:
        yield _address(process, log)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it says that it listens."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if found := _LISTENING.search(log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"docker-registry did not start:\n{log.read_text()}")
