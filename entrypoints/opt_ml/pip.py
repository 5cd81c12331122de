"""How pip is called at the start of a container, and what its failure means: for `train` and for `serve`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from opt_ml.errors import UserError

OPTIONS = ("install", "--disable-pip-version-check", "--root-user-action=ignore")
"""Of each call, after `python -m pip`."""

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
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class InstallError(UserError):
    """pip could not install what the user asks for.

    Attributes:
        details: pip's last lines.
    """

    def __init__(self, cause: str, details: str) -> None:
        super().__init__(cause)
        self.details = details


def variables(environment: Mapping[str, str], has_requirements: bool) -> dict[str, str]:
    """The environment of pip: the index of CA_REPOSITORY_ARN (TT-15, HANDLER-14), and how often it tries.

    With network isolation, minutes of trying again would be for nothing (TRAIN-24, HANDLER-13).

    Args:
        environment: of this process.
        has_requirements: a requirements.txt is installed; only that needs the index.

    Raises:
        UserError: the CodeArtifact repository cannot be used.
    """
    found = dict(environment)
    found.setdefault("PIP_RETRIES", "2" if has_route() else "0")
    repository = environment.get("CA_REPOSITORY_ARN")
    if has_requirements and repository:
        from opt_ml.aws import codeartifact_index

        # By the environment: arguments can be read by every process of the machine, and this holds a token.
        found["PIP_INDEX_URL"] = codeartifact_index(repository)
    return found


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


def explain(name: str, what: str, exit_code: int, stderr: bytes) -> InstallError:
    """Why pip failed, with the cure.

    Args:
        name: of the error, with which the text begins.
        what: was to be installed.
        exit_code: of pip.
        stderr: its last output.
    """
    lines = [line.strip() for line in readable_lines(stderr) if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or [f"pip ended with exit code {exit_code}"])[-1]
    said = last.removeprefix("ERROR:").strip()
    cause = f"{name}: pip could not install {what}: {said}"
    offline = _OFFLINE_WORDS if has_route() else _OFFLINE_WORDS + _NOT_FOUND_WORDS
    if any(_UNTRUSTED_WORDS in line for line in lines):
        cause = (
            f"{name}: {what} cannot be installed, for pip does not trust the index's certificate (a company "
            "proxy?). Put the CA bundle where the container can read it, such as a channel or the model's "
            f"code/, and its path there into the environment variable PIP_CERT. pip: {said}"
        )
    elif any(word in line for line in lines for word in offline):
        cause = (
            f"{name}: {what} cannot be installed, for this container has no network to an index "
            f"(network isolation?). Install the packages in the image. pip: {said}"
        )
    return InstallError(cause, "\n".join(lines[-20:]))


def readable_lines(stderr: bytes) -> list[str]:
    """The lines as a terminal would show them: no colours, and of a progress bar its last state."""
    text = _ESCAPES.sub("", stderr.decode(errors="backslashreplace"))
    return [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
