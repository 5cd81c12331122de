"""The operating system layer of the slim base: pulled where a registry answers, made where none does."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from platform import machine

from toolkit.building.bake import os_reference
from toolkit.building.schema import OperatingSystem
from toolkit.errors import ToolkitError
from toolkit.machine import docker, engine

# What debian:*-slim leaves out too: a container has no reader for it.
LEFT_OUT = (
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/locale/*",
    "usr/share/info/*",
    "var/cache/*",
    "var/lib/apt/lists/*",
)


def is_present(system: OperatingSystem, platform: str, source: str) -> bool:
    """True when the layer is a local image already, and the one that `source` pins, if it was pulled.

    One that this machine made has no digest of a registry, and stays.
    """
    facts = docker.inspect_image(os_reference(system.release, platform))
    if facts is None:
        return False
    pulled = [name.partition("@")[2] for name in facts.get("RepoDigests") or ()]
    _, _, pinned = source.partition("@")
    return not (pulled and pinned) or pinned in pulled


def ensure(system: OperatingSystem, platform: str, source: str) -> None:
    """Make the local image `os_reference(system.release, platform)` exist, with the content that is pinned.

    Args:
        system: the layer.
        platform: such as `linux/amd64`.
        source: reference to pull it by.

    Raises:
        ToolkitError: no registry answers, and this machine cannot make it either.
    """
    if is_present(system, platform, source):
        return
    reference = os_reference(system.release, platform)
    print(f"Pulling {source} ...", flush=True)
    refusal = docker.pull_image(source, platform)
    if refusal is None:
        docker.tag_image(source, reference)
        return
    if docker.inspect_image(reference) is not None:
        print(f"Not pulled ({refusal}); going on with the one of this machine.", flush=True)
        return
    if not (engine.can_install() and platform == "linux/amd64" and machine() == "x86_64"):
        raise ToolkitError(
            f"{source} could not be pulled ({refusal}), and only Debian on x86-64 as root can make it.",
            f"Pull it through your own registry: docker pull YOURS && docker tag YOURS {reference}",
        )
    print(
        f"No registry answers; making Debian {system.release} from this machine's package source ...",
        flush=True,
    )
    _make(system.release, reference, platform)


def _make(release: str, reference: str, platform: str) -> None:
    if not shutil.which("debootstrap"):
        engine.install_package("debootstrap")
    sources = engine.debian_sources()
    with tempfile.TemporaryDirectory(prefix="os-") as scratch:
        # debootstrap needs a directory that everyone may enter, and mkdtemp makes it 0700.
        root = Path(scratch) / "root"
        Path(scratch).chmod(0o755)
        command = [
            "debootstrap",
            "--variant=minbase",
            "--include=ca-certificates",
            release,
            str(root),
            sources.main,
        ]
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
        )
        if result.returncode:
            reason = "\n  ".join(result.stdout.splitlines()[-3:])
            raise ToolkitError(f"debootstrap could not make Debian {release}:\n  {reason}", " ".join(command))
        (root / "etc" / "apt" / "sources.list").write_text(sources.as_list(release), encoding="ascii")
        pack = ["tar", "-C", str(root), "--numeric-owner", "--one-file-system", "-c"]
        pack += [f"--exclude=./{pattern}" for pattern in LEFT_OUT]
        with subprocess.Popen([*pack, "."], stdout=subprocess.PIPE) as archive:
            assert archive.stdout is not None  # noqa: S101 - PIPE was asked for
            docker.import_image(archive.stdout, reference, platform, ['CMD ["bash"]'])
