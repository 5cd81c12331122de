"""Installs and starts a Docker engine where there is none: Debian and Ubuntu, as root.

Anywhere else the user chooses an engine; `doctor` says which ones fit. An engine that is there is used
as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.bootstrap import apt_get
from toolkit.errors import ToolkitError
from toolkit.machine import docker

PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "containerd", "docker-compose")
UBUNTU_PACKAGES = ("docker.io", "docker-buildx", "docker-compose-v2")
PLUGIN_PACKAGES = {"buildx": "docker-buildx", "compose": "docker-compose"}
UBUNTU_PLUGIN_PACKAGES = {"buildx": "docker-buildx", "compose": "docker-compose-v2"}
LATER_SUITE = "trixie"  # the first Debian with buildx and compose 2 as packages
APT = Path("/etc/apt")
ENGINE_LOG = Path("/var/log/dockerd.log")
START_SECONDS = 60


def can_install() -> bool:
    """True on a Debian or Ubuntu machine where we may install packages.

    False where DOCKER_HOST names an engine elsewhere: one installed here would not be asked.
    """
    return shutil.which("apt-get") is not None and os.geteuid() == 0 and not os.environ.get("DOCKER_HOST")


def install() -> None:
    """Install engine, client, buildx and compose from the machine's own package sources."""
    print("Installing a Docker engine with buildx and compose ...", flush=True)
    _install_docker(UBUNTU_PACKAGES if _is_ubuntu() else PACKAGES)


def can_add_plugin() -> bool:
    """True where the engine is the distribution's own.

    Docker's own packages (docker-ce) conflict with those of the distribution: apt would remove the engine.
    """
    command = ["dpkg-query", "--show", "--showformat=${Status}", "docker.io"]
    return can_install() and _run_c(command).stdout == "install ok installed"


def add_plugin(name: str) -> None:
    """Install the plugin `buildx` or `compose` beside the distribution's own engine."""
    print(f"Installing {name} ...", flush=True)
    _install_docker([(UBUNTU_PLUGIN_PACKAGES if _is_ubuntu() else PLUGIN_PACKAGES)[name]])


def _install_docker(packages: Sequence[str]) -> None:
    _update()
    if not _is_ubuntu() and not _has_candidate("docker-buildx"):
        _add_later_suite(debian_sources().main)
        _update()
        # PACKAGE/SUITE takes only these from the later suite; runc stays the one of this release.
        packages = [f"{package}/{LATER_SUITE}" for package in packages]
    _install(*packages)


def start() -> None:
    """Start the installed engine and wait until it answers.

    Raises:
        ToolkitError: it did not come up; with the last lines of its log.
    """
    print("Starting the Docker engine ...", flush=True)
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker"], check=False)
    else:
        _mount_cgroups()
        # Detached: the engine serves every later command, not only this one.
        with ENGINE_LOG.open("ab") as log:
            subprocess.Popen(
                ["dockerd"], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if docker.find_engine():
            return
        time.sleep(0.2)
    tail = ENGINE_LOG.read_text(errors="replace").splitlines()[-5:] if ENGINE_LOG.exists() else []
    raise ToolkitError("the Docker engine did not start.\n  " + "\n  ".join(tail), f"less {ENGINE_LOG}")


def _mount_cgroups() -> None:
    """A container or a bare chroot has no cgroup file system, and runc needs one."""
    root = Path("/sys/fs/cgroup")
    if any(root.glob("*")):
        return
    subprocess.run(["mount", "-t", "cgroup2", "none", str(root)], check=False, stderr=subprocess.DEVNULL)


def _add_later_suite(mirror: str) -> None:
    """Make packages of the later Debian available, and preferred for nothing else."""
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (APT / "sources.list.d" / f"docker-{LATER_SUITE}.sources").write_text(
        f"Types: deb\nURIs: {mirror}\nSuites: {LATER_SUITE}\nComponents: main\nSigned-By: {keyring}\n",
        encoding="ascii",
    )
    (APT / "preferences.d" / f"docker-{LATER_SUITE}").write_text(
        f"Package: *\nPin: release n={LATER_SUITE}\nPin-Priority: 100\n", encoding="ascii"
    )


@dataclass(frozen=True)
class DebianSources:
    """Addresses that this machine's apt takes Debian from.

    Attributes:
        main: the release itself.
        security: security updates, or None where the machine has no such source.
    """

    main: str
    security: str | None

    def as_list(self, release: str) -> str:
        """A sources.list for `release`, with its updates and security fixes."""
        lines = [f"deb {self.main} {release} main", f"deb {self.main} {release}-updates main"]
        if self.security:
            lines.append(f"deb {self.security} {release}-security main")
        return "\n".join(lines) + "\n"


def debian_sources() -> DebianSources:
    """Where this machine takes Debian from, so that a company's mirror is used for images too.

    Raises:
        ToolkitError: no Debian source is configured (an Ubuntu machine, for one).
    """
    found = _configured_sources()
    if "Debian" not in found:
        _update()  # a new machine does not know yet whose sources these are
        found = _configured_sources()
    if "Debian" not in found:
        raise ToolkitError(
            "no Debian package source is configured on this machine.", "Add one to /etc/apt/sources.list"
        )
    return DebianSources(found["Debian"], found.get("Debian-Security"))


def _configured_sources() -> dict[str, str]:
    """Label (`Debian`, `Debian-Security`) to address."""
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, str] = {}
    for line in listing.stdout.splitlines():
        origin, label, address = line.split("|", 2)
        if origin == "Debian":
            found.setdefault(label, address.rstrip("/"))
    return found


def _has_candidate(package: str) -> bool:
    policy = _run_c(["apt-cache", "policy", package])
    return "Candidate:" in policy.stdout and "Candidate: (none)" not in policy.stdout


def _update() -> None:
    """Refresh apt's lists; a source that does not answer is told, and is no reason to stop."""
    result = apt_get("update")
    for line in result.stderr.splitlines():
        if result.returncode and line.startswith("E:"):
            print(f"apt-get update: {line}", flush=True)


def _install(*packages: str) -> None:
    result = apt_get("install", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", *packages)
    if result.returncode:
        reason = "\n  ".join((result.stderr or result.stdout).strip().splitlines()[-6:])
        raise ToolkitError(f"`{' '.join(result.args)}` failed:\n  {reason}", "Run it by hand to see more.")


def install_package(package: str) -> None:
    """Install one further Debian package that a build on this machine needs."""
    print(f"Installing {package} ...", flush=True)
    _update()
    _install(package)


def _run_c(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command whose words are read here, so in no language of the user's."""
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _is_ubuntu() -> bool:
    return _os_release().get("ID") == "ubuntu"


def _os_release() -> Mapping[str, str]:
    path = Path("/etc/os-release")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip('"') for key, value in pairs}
