"""Makes a small image without a registry: this machine's Python, its libraries, and `tiny_model.py`.

Beside the program lie the faults of tests/zoo, which the variable FAULT of an image brings into it.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pip

from toolkit.machine.containers import run_label
from toolkit.namespace import LOCAL_NAMESPACE

TINY = f"{LOCAL_NAMESPACE}/conformance-tiny:latest"
FAULTS = Path(__file__).parent.parent / "zoo" / "faults"
_LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "ensurepip",
    "lib2to3",
    "turtledemo",
    "site-packages",
    "__pycache__",
    "EXTERNALLY-MANAGED",
}
# What SDK 3 and its processing jobs call (V3-03, V3-05), and what the toolkit does.
_PROGRAMS = ("bash", "cat", "chmod", "chown", "cp", "gzip", "ls", "sh", "tar", "touch")


@contextmanager
def tiny() -> Iterator[str]:
    """The image, imported anew and removed after the block."""
    instructions = [
        "ENV PATH=/usr/local/bin:/usr/bin:/bin",
        f"ENV PYTHONHOME={sys.base_prefix}",
        "ENV PYTHONUNBUFFERED=1",
        "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true",
    ]
    options = [word for instruction in instructions for word in ("--change", instruction)]
    command = ["docker", "import", *options, "-", TINY]
    subprocess.run(command, input=_root_file_system(), check=True, stdout=subprocess.DEVNULL)
    try:
        yield TINY
    finally:
        _docker("rmi", "--force", TINY)


@contextmanager
def variant(
    name: str,
    *instructions: str,
    files: Mapping[str, Path] | None = None,
    texts: Mapping[str, tuple[str, int]] | None = None,
    base: str = TINY,
) -> Iterator[str]:
    """An image that differs from another one, removed after the block.

    Args:
        name: of the image.
        instructions: of a Dockerfile.
        files: absolute path in the image -> file or directory that is copied there.
        texts: absolute path in the image -> text and mode of a file that is made there.
        base: the image that it differs from.
    """
    tag = f"{LOCAL_NAMESPACE}/conformance-{name}:latest"
    labels = [f"--label={name}={value}" for name, value in run_label().items()]
    container = _docker("create", *labels, base, "train")
    for path, source in (files or {}).items():
        _docker("cp", str(source), f"{container}:{path}")
    if texts:
        command = ["docker", "cp", "-", f"{container}:/"]
        subprocess.run(command, input=_archive(texts), check=True, capture_output=True)
    changes = [word for instruction in instructions for word in ("--change", instruction)]
    _docker("commit", *changes, container, tag)
    _docker("rm", container)
    try:
        yield tag
    finally:
        _docker("rmi", "--force", tag)


def _archive(texts: Mapping[str, tuple[str, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (text, mode) in texts.items():
            _add_file(tar, path.lstrip("/"), text.encode(), mode)
    return buffer.getvalue()


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def _root_file_system() -> bytes:
    python = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    programs = [python, *(Path(found) for name in _PROGRAMS if (found := shutil.which(name)))]
    standard_library = Path(sysconfig.get_path("stdlib"))
    files = [
        path
        for path in standard_library.rglob("*")
        if not _LEFT_OUT.intersection(path.parts) and path.is_file()
    ]
    extensions = [path for path in files if path.suffix == ".so"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as tar:
        for directory in ("tmp", "root", "opt/ml"):
            _add_directory(tar, directory, 0o1777 if directory == "tmp" else 0o755)
        for path in sorted({*programs, *files, *libraries([*programs, *extensions])}):
            tar.add(path, path.as_posix().lstrip("/"))
        _add_pip(tar, standard_library)
        links = {f"bin/{path.name}": path for path in programs[1:]}
        links |= {f"usr/local/bin/{name}": python for name in ("python", "python3")}
        for name, path in links.items():
            if path != Path("/", name):
                _add_link(tar, name, str(path))
        model = (Path(__file__).parent / "tiny_model.py").read_bytes()
        for name in ("train", "serve"):
            _add_file(tar, f"usr/local/bin/{name}", b"#!/usr/local/bin/python3\n" + model)
        many = (Path(__file__).parent / "tiny_multi_model.py").read_bytes()
        _add_file(tar, "usr/local/lib/serve_many.py", many)
        for path in sorted(FAULTS.glob("*.py")):
            _add_file(tar, f"{standard_library}/faults/{path.name}".lstrip("/"), path.read_bytes())
    return buffer.getvalue()


def _add_pip(tar: tarfile.TarFile, standard_library: Path) -> None:
    """This environment's pip as a package and as a program (V3-04)."""
    package = Path(pip.__file__).parent
    for path in sorted({*package.rglob("*.py"), *package.rglob("*.pem")}):
        tar.add(path, (standard_library / "pip" / path.relative_to(package)).as_posix().lstrip("/"))
    start = b"#!/usr/local/bin/python3\nimport sys\nfrom pip import main\nsys.exit(main())\n"
    _add_file(tar, "usr/local/bin/pip", start)


def libraries(programs: Sequence[Path]) -> Iterator[Path]:
    """The shared libraries that the dynamic loader would find, and the loader itself."""
    for program in programs:
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
        yield from (Path(found) for found in re.findall(r"(?:=> |^\s+)(/\S+)", listed, re.MULTILINE))


def _add_directory(tar: tarfile.TarFile, name: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    tar.addfile(member)


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    tar.addfile(member)


def _add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o755) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))
