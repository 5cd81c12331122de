"""What lies in the layers of an image, read from `docker save` as it passes: nothing is unpacked."""

from __future__ import annotations

import io
import json
import posixpath
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from toolkit.errors import ToolkitError

LONGEST_TEXT = 64 * 1024  # bytes of a file that are looked at
MOST_LINKS = 20
# Programs that say what an image does, and files that should be in none.
_TEXTS = re.compile(
    r"(^|/)(train|serve|[\w.-]*entrypoint[\w.-]*|[\w.-]+\.sh|wsgi\.py|nginx\.conf|id_(rsa|dsa|ecdsa|ed25519)"
    r"|\.netrc|\.pypirc|\.npmrc|pip\.conf|\.env|\.git-credentials)$"
    r"|\.aws/credentials$|\.docker/config\.json$|\.config/gcloud/.*\.json$|(^|/)[\w.-]+\.(pem|key)$"
)


@dataclass(frozen=True)
class Entry:
    """One name in a layer.

    Attributes:
        size: bytes.
        mode: permission bits.
        kind: `file`, `directory`, `link` or `other`.
        target: of a link.
        text: the beginning, of a file that may say something.
    """

    size: int
    mode: int
    kind: str
    target: str = ""
    text: bytes = b""


@dataclass(frozen=True)
class ImageFiles:
    """The files of an image.

    Attributes:
        layers: from the lowest: absolute path -> entry; those that a higher layer removes are still there.
        config: the image's configuration, as the registry has it.
        sizes: of each layer, unpacked, in bytes.
    """

    layers: tuple[Mapping[str, Entry], ...]
    config: Mapping[str, Any]
    sizes: tuple[int, ...]
    files: Mapping[str, Entry] = field(default_factory=dict)

    def resolve(self, path: str) -> str:
        """The path without symbolic links; as it is where a link leads nowhere."""
        for _ in range(MOST_LINKS):
            parts = path.strip("/").split("/")
            for count in range(1, len(parts) + 1):
                prefix = "/" + "/".join(parts[:count])
                entry = self.files.get(prefix)
                if entry and entry.kind == "link":
                    rest = parts[count:]
                    joined = posixpath.join(posixpath.dirname(prefix), entry.target, *rest)
                    path = posixpath.normpath(joined)
                    break
            else:
                return path
        return path

    def get(self, path: str) -> Entry | None:
        """The entry that a path leads to."""
        return self.files.get(self.resolve(path))

    def program(self, name: str) -> str | None:
        """The path of an executable: as it is, or the first of PATH; None where there is none."""
        if "/" in name:
            directory = self.config.get("config", {}).get("WorkingDir") or "/"
            places = [posixpath.normpath(posixpath.join(directory, name))]
        else:
            places = [posixpath.join(directory, name) for directory in self.path()]
        for place in places:
            entry = self.get(place)
            if entry and entry.kind == "file" and entry.mode & 0o111:
                return place
        return None

    def path(self) -> list[str]:
        """The directories of PATH; those of Docker where the image sets none."""
        variables = dict(one.partition("=")[::2] for one in self.config.get("config", {}).get("Env") or [])
        default = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return [one for one in variables.get("PATH", default).split(":") if one]

    def text(self, path: str) -> str:
        """The beginning of a file that was looked at; empty for others."""
        entry = self.get(path)
        return entry.text.decode(errors="replace") if entry else ""


def read_layers(image: str) -> ImageFiles:
    """All layers of a local image.

    Raises:
        ToolkitError: the engine does not give the image out.
    """
    command = ["docker", "save", image]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr  # noqa: S101 - both are pipes
        try:
            found = _read(process.stdout)
        except (tarfile.TarError, KeyError, ValueError) as error:
            process.kill()
            said = process.stderr.read().decode(errors="replace").strip() or str(error)
            raise ToolkitError(f"`docker save {image}` failed: {said.splitlines()[-1]}") from None
    return found


def _read(stream: IO[bytes]) -> ImageFiles:
    layers: dict[str, dict[str, Entry]] = {}
    sizes: dict[str, int] = {}
    documents: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is None:
                continue
            if member.size < LONGEST_TEXT:
                documents[member.name] = content.read()
                continue
            with suppress(tarfile.ReadError):  # no layer
                layers[member.name] = dict(_entries(content))
                sizes[member.name] = member.size
    manifest = json.loads(documents["manifest.json"])[0]
    config = json.loads(documents[manifest["Config"]])
    ordered = [layers.get(name) or _small(documents.get(name, b"")) for name in manifest["Layers"]]
    return ImageFiles(
        tuple(ordered), config, tuple(sizes.get(name, 0) for name in manifest["Layers"]), _merged(ordered)
    )


def _small(data: bytes) -> dict[str, Entry]:
    """A layer that is smaller than what is kept as a document."""
    with suppress(tarfile.ReadError):
        return dict(_entries(io.BytesIO(data)))
    return {}


def _entries(content: IO[bytes]) -> Iterator[tuple[str, Entry]]:
    """The entries of one layer, compressed or not."""
    with tarfile.open(fileobj=content, mode="r|*") as layer:
        for member in layer:
            path = "/" + posixpath.normpath(member.name).lstrip("/")
            kinds = {"file": member.isfile(), "directory": member.isdir(), "link": member.issym()}
            kind = next((name for name, holds in kinds.items() if holds), "other")
            text, target = b"", member.linkname
            if member.islnk():  # to a file of the same layer
                kind, target = "link", "/" + posixpath.normpath(member.linkname).lstrip("/")
            elif kind == "file" and _TEXTS.search(path):
                stream = layer.extractfile(member)
                text = stream.read(LONGEST_TEXT) if stream else b""
            yield path, Entry(member.size, member.mode, kind, target if kind == "link" else "", text)


def _merged(layers: list[dict[str, Entry]]) -> dict[str, Entry]:
    """What a container sees: higher layers hide and remove."""
    files: dict[str, Entry] = {}
    for layer in layers:
        for path in layer:
            directory, name = posixpath.split(path)
            if name == ".wh..wh..opq":
                _remove(files, directory, itself=False)
            elif name.startswith(".wh."):
                _remove(files, posixpath.join(directory, name.removeprefix(".wh.")), itself=True)
        files |= {path: entry for path, entry in layer.items() if "/.wh." not in path}
    return files


def _remove(files: dict[str, Entry], path: str, itself: bool) -> None:
    if itself:
        files.pop(path, None)
    for below in [other for other in files if other.startswith(f"{path}/")]:
        del files[below]
