"""Who we are to a registry: a name and a password, from whoever hands them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from docker import auth
from docker.errors import DockerException

from toolkit.errors import ToolkitError


@dataclass(frozen=True)
class Credentials:
    """A name and a password; the password shows in no `repr`."""

    username: str
    password: str = field(repr=False)


# Asked at the first request, and again when the registry says that the last ones have expired.
Login = Callable[[], Credentials | None]


def from_docker(host: str) -> Credentials | None:
    """What `docker login HOST` has left in Docker's configuration or its credential helper; None for nothing.

    Raises:
        ToolkitError: the configuration names a helper that fails.
    """
    try:
        found = auth.load_config().resolve_authconfig(host)
    except DockerException as error:
        raise ToolkitError(
            f"the credentials for {host} could not be read: {error}", f"docker login {host}"
        ) from None
    if not found or not found.get("username"):
        return None
    return Credentials(found["username"], found.get("password") or "")
