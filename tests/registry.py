"""A real registry on loopback: Debian's docker-registry, started for a test and ended with it."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from toolkit.bootstrap import apt_get
from toolkit.building.images import ROOT

PACKAGE = "docker-registry"
_KEPT = ROOT / ".build" / PACKAGE
_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")


@contextmanager
def registry(directory: Path) -> Iterator[str]:
    """`127.0.0.1:PORT` of an empty registry without a login, which keeps its blobs below `directory`."""
    configuration = directory / "registry.yml"
    configuration.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}}}, delete: {{enabled: true}}}}\n"
        "http: {addr: '127.0.0.1:0'}\n"
    )
    process = subprocess.Popen(
        [_find_program(), "serve", configuration],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    try:
        yield _read_address(process.stderr)
    finally:
        process.terminate()
        process.wait()


def _read_address(log: IO[str]) -> str:
    """The address that the registry has chosen; its log is read on, or it would stop at a full pipe."""
    for line in log:
        if found := _LISTENING.search(line):
            threading.Thread(target=lambda: [None for _ in log], daemon=True).start()
            return found[1]
    raise AssertionError("docker-registry ended at its start")


def _find_program() -> Path:
    """The one on PATH, or that of Debian's package, which is unpacked here and not installed.

    Its installation would start a registry of its own, on port 5000.
    """
    if installed := shutil.which(PACKAGE):
        return Path(installed)
    _KEPT.mkdir(parents=True, exist_ok=True)
    program = _KEPT / "usr" / "bin" / PACKAGE
    with (_KEPT / "lock").open("w") as lock:  # one process unpacks it, and the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            apt_get("update")
            download = ["apt-get", "-qq", "download", PACKAGE]
            subprocess.run(download, cwd=_KEPT, check=True, stderr=subprocess.DEVNULL)
            package = next(_KEPT.glob("*.deb"))
            subprocess.run(["dpkg", "-x", package, _KEPT], check=True)
            package.unlink()
    return program
