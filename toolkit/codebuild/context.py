"""What a build in CodeBuild gets of this machine: the files of a build context, in one archive.

The same files make the same archive, and its name is their hash: what is in the bucket already is not sent
again. The archive is a zip, as CodeBuild takes it, with one tar in it: what CodeBuild does to modes, links
and empty directories in a zip is written nowhere, and all three are part of a build context.
"""

from __future__ import annotations

import hashlib
import io
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from toolkit.building.build_context import IGNORE_FILE, sent_files
from toolkit.errors import ToolkitError

TAR_NAME = "source.tar"
_MODIFIED = 315532800  # 1980-01-01, the first day that a zip knows
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A packed context.

    Attributes:
        path: the zip.
        digest: SHA-256 of what is in it, in hex: paths, contents, modes.
        size: of the zip, in bytes.
        files: how many.
    """

    path: Path
    digest: str
    size: int
    files: int


def checkout_context(root: Path) -> list[str]:
    """The files of a git checkout that builds see: tracked or new, neither git-ignored nor docker-ignored.

    Each `.dockerignore` holds for its own folder, which is the context of the Dockerfile beside it.

    Raises:
        ToolkitError: `root` is no git checkout.
    """
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    if listing.returncode:
        raise ToolkitError(
            f"{root} is no git checkout, so what belongs to it is not known: {listing.stderr.strip()}",
            f"git -C {root} init && git -C {root} add --all",
        )
    names = {name for name in listing.stdout.split("\0") if name and _exists(root / name)}
    for ignore in sorted(name for name in names if PurePosixPath(name).name == IGNORE_FILE):
        folder = PurePosixPath(ignore).parent
        kept = sent_files(root / folder)
        below = {name for name in names if folder in PurePosixPath(name).parents}
        names -= below - {str(folder / name) for name in kept}
    return sorted(names)


def pack(root: Path, names: Iterable[str], target: Path) -> Archive:
    """Write the archive of `names`, paths below `root`, to `target`.

    Raises:
        ToolkitError: a file cannot be read.
    """
    digest, files = hashlib.sha256(), 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        member = zipfile.ZipInfo(TAR_NAME)  # of 1980-01-01
        member.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(member, "w", force_zip64=True) as packed:
            sink = _Hashed(packed, digest)
            with tarfile.open(fileobj=sink, mode="w|", bufsize=_BLOCK, format=tarfile.PAX_FORMAT) as tar:
                for name in sorted(names):
                    _add(tar, root, name)
                    files += 1
    return Archive(target, digest.hexdigest(), target.stat().st_size, files)


class _Hashed(io.RawIOBase):
    """Writes through, and hashes what passes."""

    def __init__(self, target: IO[bytes], digest: hashlib._Hash) -> None:
        self._target, self._digest = target, digest

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._digest.update(data)
        return self._target.write(data)


def _add(tar: tarfile.TarFile, root: Path, name: str) -> None:
    """One file without what differs between machines: owner, time, and all of the mode but `executable`."""
    path = root / name
    try:
        facts = path.lstat()
        entry = tarfile.TarInfo(name)
        entry.mtime = _MODIFIED
        entry.mode = 0o755 if facts.st_mode & stat.S_IXUSR else 0o644
        if stat.S_ISLNK(facts.st_mode):
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
            tar.addfile(entry)
        elif stat.S_ISDIR(facts.st_mode):
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        elif stat.S_ISREG(facts.st_mode):
            entry.size = facts.st_size
            with path.open("rb") as content:
                tar.addfile(entry, content)
    except OSError as error:
        raise ToolkitError(
            f"{path} cannot be packed: {error.strerror or error}.",
            f"Make it readable, or name it in {IGNORE_FILE}.",
        ) from None


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()  # a tracked file may have been removed
