"""requirements.txt of the source directory, and the source directory as a package (TT-11, TT-14 to TT-16)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from opt_ml.errors import UserError
from opt_ml.training.script.cause import readable_lines
from opt_ml.training.script.process import Ended, run_process
from opt_ml.training.script.program import COMMAND, PACKAGE

_OFFLINE_WORDS = (
    "name resolution",
    "Name or service not known",
    "Network is unreachable",
    "No route to host",
    "Failed to establish a new connection",
)
_UNTRUSTED_WORDS = "CERTIFICATE_VERIFY_FAILED"
# Also what pip says of a package that the index does not have; without a route there was no index to ask.
_NOT_FOUND_WORDS = ("No matching distribution found", "Could not find a version")


class InstallError(UserError):
    """pip could not install what the job asks for.

    Attributes:
        details: pip's last lines.
    """

    def __init__(self, cause: str, details: str) -> None:
        super().__init__(cause)
        self.details = details


def install(kind: str, code_dir: Path) -> None:
    """Install what a program of that kind needs; nothing for a command (TT-14).

    Raises:
        InstallError: pip failed; its first line begins as the AWS toolkit's error does (TT-16).
        UserError: the CodeArtifact repository cannot be used.
    """
    has_requirements = (code_dir / "requirements.txt").exists()
    if kind == COMMAND or (kind != PACKAGE and not has_requirements):
        return
    words = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
    ]
    words += ["."] if kind == PACKAGE else []
    words += ["-r", "requirements.txt"] if has_requirements else []
    variables = {**os.environ, **_patience()}
    repository = os.environ.get("CA_REPOSITORY_ARN")
    if has_requirements and repository:
        from opt_ml.training.script.aws import codeartifact_index

        # By the environment: arguments can be read by every process of the machine, and this holds a token.
        variables["PIP_INDEX_URL"] = codeartifact_index(repository)
    what = "the source directory" if kind == PACKAGE else "requirements.txt"
    print(f"Installing {what}: {' '.join(words[2:])}", flush=True)
    ended = run_process(words, str(code_dir), variables)
    if ended.stopped:  # also where pip was about to end well: the program must not be started any more
        print(f"Stopped while installing {what}.", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    if ended.exit_code:
        raise _explained(kind, what, ended)


def _patience() -> Mapping[str, str]:
    """How often pip tries again: with network isolation, minutes of it would be for nothing (TRAIN-24)."""
    if "PIP_RETRIES" in os.environ:
        return {}
    return {"PIP_RETRIES": "2" if has_route() else "0"}


def has_route(table: Path = Path("/proc/net/route")) -> bool:
    """Whether any network but loopback is there; a network of IPv6 alone counts (its table says so).

    Args:
        table: the kernel's IPv4 routes, one a line below a header.
    """
    try:
        if len(table.read_text(encoding="ascii").splitlines()) > 1:
            return True
        routes = table.with_name("ipv6_route").read_text(encoding="ascii").splitlines()
    except OSError:
        return True  # nothing is known, so nothing is assumed
    return any(line.split()[-1] != "lo" for line in routes)


def _explained(kind: str, what: str, ended: Ended) -> InstallError:
    name = "InstallModuleError" if kind == PACKAGE else "InstallRequirementsError"
    lines = [line.strip() for line in readable_lines(ended.stderr) if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or [f"pip ended with exit code {ended.exit_code}"])[-1]
    said = last.removeprefix("ERROR:").strip()
    cause = f"{name}: pip could not install {what}: {said}"
    offline = _OFFLINE_WORDS if has_route() else _OFFLINE_WORDS + _NOT_FOUND_WORDS
    if any(_UNTRUSTED_WORDS in line for line in lines):
        cause = (
            f"{name}: {what} cannot be installed, for pip does not trust the index's certificate (a company "
            "proxy?). Put the CA bundle into a channel, and its path there into the environment variable "
            f"PIP_CERT. pip: {said}"
        )
    elif any(word in line for line in lines for word in offline):
        cause = (
            f"{name}: {what} cannot be installed, for this container has no network to an index "
            f"(network isolation?). Install the packages in the image. pip: {said}"
        )
    return InstallError(cause, "\n".join(lines[-20:]))
