"""Several hosts' checkpoint directories, copied to the one that stands for their S3 prefix."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

INTERVAL = 1.0  # seconds between two looks


class CheckpointSync:
    """Copies what hosts write to `remote`, while the block runs; deletions too (TRAIN-91).

    As on the platform nothing comes back: what one host writes, the others do not see before they start
    anew. Where two hosts write one name, the last writer stays.

    Args:
        remote: the common directory.
        hosts: the directory of each host.
    """

    def __init__(self, remote: Path, hosts: Mapping[str, Path]) -> None:
        self._remote, self._hosts = remote, hosts
        self._seen: dict[str, dict[str, tuple[int, int]]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> CheckpointSync:
        for host, directory in self._hosts.items():
            shutil.copytree(self._remote, directory, dirs_exist_ok=True)
            self._seen[host] = _state(directory)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def once(self) -> None:
        """Bring `remote` up to date; a file that cannot be read now is tried again the next time."""
        for host, directory in self._hosts.items():
            seen = self._seen[host]
            now = _state(directory)
            for key, state in now.items():
                if seen.get(key) != state:
                    with suppress(OSError):
                        _copy(directory / key, self._remote / key)
                        seen[key] = state
            for key in seen.keys() - now.keys():
                with suppress(OSError):  # another host has made something else of the name
                    (self._remote / key).unlink()
                del seen[key]

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL):
            self.once()


def _state(directory: Path) -> dict[str, tuple[int, int]]:
    """Path below `directory` -> time and size of each file."""
    found = {}
    for root, _, names in os.walk(directory):
        for name in names:
            path = Path(root) / name
            with suppress(OSError):
                status = path.stat()
                found[path.relative_to(directory).as_posix()] = (status.st_mtime_ns, status.st_size)
    return found


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copy2(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
