"""What `docker save` writes, read as it comes: layers one after the other, the rest kept.

Engines before 25 write `ID/layer.tar`, later ones `blobs/sha256/DIGEST`; all of them write `manifest.json`
last, which says in which order the layers lie.
"""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from toolkit.errors import WorkError

_LONGEST_JSON = 8 << 20  # bytes; a layer that is shorter is looked at
_MANIFEST = "manifest.json"


@dataclass
class Archive:
    """An image on its way out of the engine.

    Attributes:
        stream: of `docker save`.
    """

    stream: IO[bytes]
    _documents: dict[str, bytes] = field(default_factory=dict)
    _links: dict[str, str] = field(default_factory=dict)

    def layers(self) -> Iterator[tuple[str, int, IO[bytes]]]:
        """Name, size in bytes and content of each layer; to be read before the next is asked for.

        Raises:
            WorkError: the stream ends too soon.
        """
        try:
            with tarfile.open(fileobj=self.stream, mode="r|") as tar:
                for member in tar:
                    if member.issym() or member.islnk():
                        self._links[member.name] = _target(member)
                        continue
                    content = tar.extractfile(member) if member.isfile() else None
                    if content is None:
                        continue
                    if _may_be_document(member):
                        body = content.read()
                        if not _is_layer(member.name) or _is_object(body):
                            self._documents[member.name] = body
                            continue
                        content = io.BytesIO(body)
                    yield member.name, member.size, content
        except tarfile.TarError as error:
            raise WorkError(f"`docker save` ended too soon: {error}", "docker system df") from None

    def configuration(self) -> bytes:
        """The image's configuration, byte for byte; after the last layer."""
        return self._documents[self._resolve(str(self._manifest()["Config"]))]

    def order(self) -> list[str]:
        """The names of the layers, lowest first; after the last layer."""
        return [self._resolve(name) for name in self._manifest()["Layers"]]

    def _manifest(self) -> dict[str, Any]:
        if _MANIFEST not in self._documents:
            raise WorkError("`docker save` ended too soon: it wrote no manifest.json.", "docker system df")
        manifest: dict[str, Any] = json.loads(self._documents[_MANIFEST])[0]
        return manifest

    def _resolve(self, name: str) -> str:
        while name in self._links:
            name = self._links[name]
        return name


def _target(member: tarfile.TarInfo) -> str:
    """Where a link leads: a symbolic one from its own directory, a hard one from the root."""
    if member.islnk():
        return member.linkname
    return posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))


def _is_layer(name: str) -> bool:
    return name.endswith("layer.tar") or name.startswith("blobs/")


def _may_be_document(member: tarfile.TarInfo) -> bool:
    return not _is_layer(member.name) or member.size <= _LONGEST_JSON


def _is_object(body: bytes) -> bool:
    if not body.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False
