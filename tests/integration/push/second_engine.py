"""A second Docker engine, which keeps its images in containerd: there OCI is the form of everything."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HANGS = 60  # seconds; a guard, not an expectation


@contextmanager
def containerd_engine() -> Iterator[str]:
    """DOCKER_HOST of an empty engine that runs no containers, ended and removed after the block."""
    with tempfile.TemporaryDirectory(prefix="engine-") as scratch:
        directory = Path(scratch)
        configuration = directory / "daemon.json"
        configuration.write_text(json.dumps({"features": {"containerd-snapshotter": True}}))
        host = f"unix://{directory / 'docker.sock'}"
        # With a network of its own: an engine without a bridge takes docker0 away from the one that is there.
        command = ["unshare", "--net", "dockerd", "--config-file", str(configuration), "--host", host]
        for option, name in (("data-root", "root"), ("exec-root", "run"), ("pidfile", "pid")):
            command += [f"--{option}", str(directory / name)]
        command += ["--bridge", "none", "--iptables=false", "--ip6tables=false"]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                _wait(process, host, directory / "log")
                yield host
            finally:
                process.terminate()
                process.wait(HANGS)


def _wait(process: subprocess.Popen[bytes], host: str, log: Path) -> None:
    deadline = time.monotonic() + HANGS
    while subprocess.run(["docker", "--host", host, "version"], capture_output=True, check=False).returncode:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.1)
