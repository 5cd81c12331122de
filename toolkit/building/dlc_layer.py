"""The Deep Learning Container below a base: in the engine before the build asks for it."""

from __future__ import annotations

import re

from toolkit.errors import ToolkitError
from toolkit.machine import docker

_PRIVATE = re.compile(r"\d{12}\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.")
_signed_in: set[str] = set()


def ensure(reference: str, platform: str) -> None:
    """Have `reference` in the engine; a tag is asked for anew each time, a digest once.

    Raises:
        ToolkitError: it is not there and cannot be pulled; says how to sign in, or which digest is wrong.
    """
    here = docker.inspect_image(reference) is not None
    if here and "@" in reference:
        return
    print(f"Pulling {reference} ...", flush=True)
    try:
        log_in(reference)
        refusal = docker.pull_image(reference, platform)
    except ToolkitError as error:
        if not here:
            raise
        refusal = error.message
    if refusal is None:
        return
    reason = refusal.strip().splitlines()[-1]
    if not here:
        raise ToolkitError(f"{reference} could not be pulled: {reason}", _cure(reference, reason))
    print(f"Not pulled ({reason}); going on with the one of this machine.", flush=True)


def log_in(reference: str) -> None:
    """Sign in to a private registry of AWS's; any other is left to what `docker login` has stored.

    Raises:
        ToolkitError: no credentials, or AWS does not give the permission.
    """
    host = reference.partition("/")[0]
    private = _PRIVATE.match(host)
    if private is None or host in _signed_in:
        return
    from toolkit import aws

    aws.install()
    from toolkit.aws.session import Session
    from toolkit.registry.ecr import Ecr

    region = private["region"]
    credentials = Ecr(Session(region), region).log_in()
    docker.log_in(host, credentials.username, credentials.password)
    _signed_in.add(host)


def _cure(reference: str, reason: str) -> str:
    if "@" in reference and ("not found" in reason or "unknown" in reason):
        return "The digest may be gone: `./build.py bump` asks the registry for today's."
    return "Name a registry that this machine reaches: --registry HOST, such as a mirror or a cache."
