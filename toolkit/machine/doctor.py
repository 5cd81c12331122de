"""Is this machine ready? One small object per check: what it found, how bad that is, what mends it.

`CHECKS` is in the order in which they depend on each other; `examine` runs them all, `repair` mends what
can be mended from here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit.errors import ToolkitError
from toolkit.machine import docker, engine, network

Severity = Literal["ok", "warning", "error"]
FREE_GB_NEEDED = 10
ENGINE_ADVICE = "Install Docker Engine with buildx and compose (or Docker Desktop), then run this again."


@dataclass(frozen=True)
class Finding:
    """What one check saw.

    Attributes:
        name: the check.
        severity: `error` stops the work, `warning` may.
        message: what is there or missing.
        cure: the command or step that mends it; empty when nothing is wrong.
    """

    name: str
    severity: Severity
    message: str
    cure: str = ""


@dataclass(frozen=True)
class Check:
    """One thing that must be right.

    Attributes:
        name: short, as it is printed.
        look: finds out; changes nothing.
        fix: mends it on this machine, or None where only the user can.
    """

    name: str
    look: Callable[[], Finding]
    fix: Callable[[], None] | None = None


def _client() -> Finding:
    path = docker.find_client()
    if path:
        return Finding("docker client", "ok", path)
    cure = "./build.py doctor --fix" if engine.can_install() else ENGINE_ADVICE
    return Finding("docker client", "error", "not installed", cure)


def _engine() -> Finding:
    found = docker.find_engine()
    if found:
        return Finding("docker engine", "ok", f"{found.version}, {found.architecture}, {found.storage}")
    reason = docker.why_no_engine() if docker.find_client() else ""
    if "permission denied" in reason:
        cure = "sudo usermod -aG docker $USER, and log in again"
    elif host := os.environ.get("DOCKER_HOST"):
        cure = f"Start the engine at {host}, or unset DOCKER_HOST."
    elif engine.can_install():
        cure = "./build.py doctor --fix"
    else:
        cure = "sudo systemctl start docker" if shutil.which("dockerd") else ENGINE_ADVICE
    return Finding("docker engine", "error", reason or "none answers", cure)


def _plugin(name: str, severity: Severity, purpose: str) -> Finding:
    version = docker.plugin_version(name)
    if version:
        return Finding(name, "ok", version)
    cure = f"Install the {name} plugin of your Docker (docker-{name}-plugin with Docker's own packages)."
    if engine.can_add_plugin() or not docker.find_client():
        cure = "./build.py doctor --fix" if engine.can_install() else ENGINE_ADVICE
    return Finding(name, severity, f"not installed; {purpose}", cure)


def _disk() -> Finding:
    found = docker.find_engine()
    if found is None or found.root is None:
        return Finding("disk", "ok", "not known: the engine's disk is not on this machine")
    free_gb = shutil.disk_usage(found.root).free / 1e9
    message = f"{free_gb:.0f} GB free in {found.root}"
    if free_gb >= FREE_GB_NEEDED:
        return Finding("disk", "ok", message)
    return Finding("disk", "warning", f"{message}; a GPU image needs more", "docker system prune")


def _certificates() -> Finding:
    try:
        bundle = network.find_ca_bundle()
    except ToolkitError as error:
        return Finding("CA bundle", "error", error.message, error.cure)
    if bundle is None:
        return Finding("CA bundle", "ok", "none named: builds use the certificates of their base image")
    return Finding("CA bundle", "ok", f"{bundle.path} (from {bundle.variable}), handed to builds as a secret")


def _wheelhouse() -> Finding:
    try:
        wheelhouse = network.find_wheelhouse()
    except ToolkitError as error:
        return Finding("wheelhouse", "error", error.message, error.cure)
    if wheelhouse is None:
        return Finding("wheelhouse", "ok", "none named: builds take packages from the index alone")
    return Finding("wheelhouse", "ok", f"{wheelhouse}, offered to builds as a named context")


def _add_plugin(name: str) -> None:
    if engine.can_add_plugin():
        engine.add_plugin(name)


CHECKS: Sequence[Check] = (
    Check("docker client", _client, engine.install),
    Check("docker engine", _engine, lambda: _install_and_start()),
    Check("buildx", lambda: _plugin("buildx", "error", "builds need it"), lambda: _add_plugin("buildx")),
    Check(
        "compose",
        lambda: _plugin("compose", "warning", "SageMaker SDK local mode needs it"),
        lambda: _add_plugin("compose"),
    ),
    Check("disk", _disk),
    Check("CA bundle", _certificates),
    Check("wheelhouse", _wheelhouse),
)


def _install_and_start() -> None:
    if not shutil.which("dockerd"):
        engine.install()
    engine.start()


def examine() -> list[Finding]:
    """Run every check; the machine stays as it is."""
    return [check.look() for check in CHECKS]


def repair() -> list[Finding]:
    """Run every check and mend what is wrong and can be mended here; returns what is so afterwards."""
    findings = []
    for check in CHECKS:
        finding = check.look()
        if finding.severity != "ok" and check.fix is not None and engine.can_install():
            check.fix()
            finding = check.look()
        findings.append(finding)
    return findings
