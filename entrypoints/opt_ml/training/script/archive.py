"""A source archive, unpacked so that nothing leaves the directory (TT-21)."""

from __future__ import annotations

import lzma
import os
import shutil
import sys
import tarfile
import zlib
from pathlib import Path

from opt_ml.errors import UserError


def unpack(archive: Path, directory: Path, name: str) -> None:
    """Extract a tar, compressed or not, into `directory`.

    Names lose a leading `/` and every `..`; special files, and links that lead out, are left out with a line
    in the log. Written out, because tarfile's own `data` filter is missing in Python 3.11.2, which Debian 12
    has.

    Args:
        archive: the file.
        directory: where to, made if need be.
        name: what the user calls the archive.

    Raises:
        UserError: it is not a tar, or it is cut off.
    """
    directory.mkdir(parents=True, exist_ok=True)
    root = directory.resolve()
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                _extract(tar, member, root)
            # A checksum of what was packed stands at its end.
            while tar.fileobj and tar.fileobj.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk; gzip and bz2 have an OSError without a number for damaged content
        # Where no way of reading fits, tarfile lists them all, a line each.
        reason = "it is not a tar archive" if "\n" in str(error) else str(error)
        raise UserError(
            f"{name} cannot be unpacked: {reason}. "
            "Pack the source directory with tar -czf sourcedir.tar.gz -C DIR ."
        ) from None


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    parts = [part for part in member.name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    target = root.joinpath(*parts)
    if not parts:
        return  # the directory itself
    if not target.parent.resolve().is_relative_to(root):  # through a link that an earlier member made
        _leave_out(member, "it lies outside of the source directory")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        target.mkdir(exist_ok=True)
    elif member.isreg():
        _write(tar, member, target)
    elif member.issym() or member.islnk():
        _link(member, target, root)
    else:
        _leave_out(member, "it is a special file")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None, "a regular file has content"  # noqa: S101 - for the type checker
    target.unlink(missing_ok=True)  # never through a link
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file)
    target.chmod(member.mode & 0o755 | 0o600)


def _link(member: tarfile.TarInfo, target: Path, root: Path) -> None:
    base = target.parent if member.issym() else root
    aim = Path(os.path.realpath(base / member.linkname))
    if not aim.is_relative_to(root):
        _leave_out(member, f"it links to {member.linkname}, outside of the source directory")
        return
    target.unlink(missing_ok=True)
    if member.issym():
        target.symlink_to(member.linkname)
    elif aim.is_file():
        shutil.copy2(aim, target)


def _leave_out(member: tarfile.TarInfo, reason: str) -> None:
    print(f"{member.name} is left out: {reason}.", file=sys.stderr)
