"""The Deep Learning Container below a base: in the engine before the build asks for it."""

from __future__ import annotations

from toolkit.errors import ToolkitError
from toolkit.machine import docker


def ensure(reference: str, platform: str) -> None:
    """Have `reference` in the engine; a tag is asked for anew each time, a digest once.

    Raises:
        ToolkitError: it is not there and cannot be pulled; says how to sign in, or which digest is wrong.
    """
    here = docker.inspect_image(reference) is not None
    if here and "@" in reference:
        return
    print(f"Pulling {reference} ...", flush=True)
    refusal = docker.pull_image(reference, platform)
    if refusal is None:
        return
    reason = refusal.strip().splitlines()[-1]
    if not here:
        raise ToolkitError(f"{reference} could not be pulled: {reason}", _cure(reference, reason))
    print(f"Not pulled ({reason}); going on with the one of this machine.", flush=True)


def _cure(reference: str, reason: str) -> str:
    host = reference.partition("/")[0]
    if "@" in reference and ("not found" in reason or "unknown" in reason):
        return "The digest may be gone: `./build.py bump` asks the registry for today's."
    if ".dkr.ecr." in host and any(word in reason for word in ("authorization", "credentials", "denied")):
        login = f"docker login --username AWS --password-stdin {host}"
        return f"aws ecr get-login-password --region {host.split('.')[3]} | {login}"
    return "Name a registry that this machine reaches: --registry HOST, such as a mirror or a cache."
