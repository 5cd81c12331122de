"""What earlier pushes have learned of layers: their compressed form, and which repositories have it.

A file of this checkout, which may be deleted at any time: then layers are compressed anew, and the registry
says which it has.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from toolkit.registry.compression import Blob


class KnownLayers:
    """The memory of one checkout; threads may share it.

    Args:
        path: of the file; nothing is read from one that is missing or spoilt.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._facts = _read(path)

    def compressed(self, name: str) -> Blob | None:
        """The blob that a layer became; `name` is its path in an archive of `docker save`."""
        found = self._facts["blobs"].get(name)
        return Blob(**found) if found else None

    def remember_compressed(self, name: str, blob: Blob) -> None:
        """Keep what a layer became; names that hold no digest could mean another layer tomorrow."""
        if name.startswith("blobs/"):
            self._write("blobs", name, asdict(blob))

    def repository_with(self, host: str, digest: str, besides: str) -> str | None:
        """A repository of a registry that had a blob, other than `besides`."""
        found: list[str] = self._facts["places"].get(f"{host} {digest}", [])
        return next((name for name in found if name != besides), None)

    def remember_place(self, host: str, repository: str, digest: str) -> None:
        """A repository has a blob now."""
        key = f"{host} {digest}"
        places = [repository, *(name for name in self._facts["places"].get(key, []) if name != repository)]
        self._write("places", key, places[:3])

    def _write(self, part: str, key: str, value: Any) -> None:
        with self._lock:
            if self._facts[part].get(key) == value:
                return
            self._facts[part][key] = value
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(self._facts, indent=1), encoding="utf-8")
            new.replace(self._path)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return {"blobs": dict(facts["blobs"]), "places": dict(facts["places"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"blobs": {}, "places": {}}
