"""Where the hosts of a job find each other."""

from __future__ import annotations

import ipaddress
import socket

from opt_ml.environment import Environment
from opt_ml.errors import UserError
from opt_ml.waiting import Waiting

PORT = 7850  # all ports are open between the hosts of a job (TRAIN-117)
_PAUSE = 0.2


def listen(environment: Environment) -> socket.socket:
    """The leader's listening socket.

    Raises:
        UserError: the port is taken.
    """
    # A host whose name is an address listens there alone: several jobs can then share one machine.
    host = environment.current_host if is_address(environment.current_host) else ""
    try:
        return socket.create_server((host, PORT), backlog=128)
    except OSError as error:
        raise UserError(
            f"Port {PORT} of {environment.current_host} cannot be opened for the other hosts of the job: "
            f"{error.strerror}."
        ) from None


def connect(host: str, limit: float) -> socket.socket:
    """A connection to the leader, whose name may resolve late and who may listen later still (TRAIN-42).

    Raises:
        UserError: it was not reached within `limit` seconds.
    """
    waiting = Waiting(limit)
    while True:
        try:
            connection = socket.create_connection((host, PORT), timeout=5)
            if connection.getsockname() != connection.getpeername():  # a port may connect to itself
                connection.settimeout(None)
                return connection
            connection.close()
            reason = "nobody listens"
        except socket.gaierror:
            reason = "its name does not resolve"
        except OSError as error:
            reason = error.strerror or str(error)
        wait_on(waiting, f"the leading host {host} (port {PORT}): {reason}")


def wait_on(waiting: Waiting, what: str, pause: float = _PAUSE) -> None:
    """Go on waiting for other hosts.

    Raises:
        UserError: the limit is over.
    """
    waiting.go_on(
        lambda: f"Waiting for {what}.",
        lambda waited: (
            f"Waited {waited:.0f} s in vain for {what}. If the host merely starts slowly, "
            "set the hyperparameter host_timeout to more seconds."
        ),
        pause,
    )


def is_address(host: str) -> bool:
    """True for a host that is named by its IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
