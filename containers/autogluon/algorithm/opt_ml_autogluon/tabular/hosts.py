"""The hosts of a job as one cluster of Ray: the first one leads, the others join, and all end together.

    leader  --- a line at a time --->  each other host
      |  "join ADDRESS", "done"            |
      v                                    v  its name, "joined", "stopped"
    ray (head)  <----- folds ----->      ray

The connections tell the end of the job: a host that hears nothing more has lost the other one.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from opt_ml.environment import Environment
from opt_ml.errors import UserError
from opt_ml.resources import usable_cpus
from opt_ml.training import stopping
from opt_ml.training.addresses import connect, listen, wait_on
from opt_ml.training.failure import fail
from opt_ml.waiting import Waiting

from opt_ml_autogluon.tabular.settings import Settings

RAY_PORT = 7851  # all ports are open between the hosts of a job (TRAIN-117)
_GREETING_SECONDS = 10.0  # for a connection of another program
_JOIN, _JOINED, _STOPPED, _DONE = "join", "joined", "stopped", "done"


@dataclass(frozen=True)
class Member:
    """Another host of the job.

    Attributes:
        host: its name in the job.
        address: its IP address.
        here: this host's address, as that one sees it.
        connection: to it.
        lines: from it.
    """

    host: str
    address: str
    here: str
    connection: socket.socket
    lines: IO[str]

    def say(self, *words: str) -> None:
        """Send one line; that the other end is gone is noticed when it is heard."""
        with suppress(OSError):
            self.connection.sendall(" ".join(words).encode() + b"\n")

    def heard(self) -> list[str]:
        """The words of its next line; none where it is gone."""
        try:
            return self.lines.readline().split()
        except OSError:
            return []


def has_ray() -> bool:
    """True in an image that holds Ray."""
    return find_spec("ray") is not None


@contextmanager
def leading(environment: Environment, settings: Settings) -> Iterator[dict[str, str]]:
    """On the first host: a cluster of all hosts, for a block; yields the names of the hosts by address.

    Raises:
        UserError: a host did not come, ended too early, or Ray does not start.
    """
    waiting = Waiting(settings["host_timeout"])
    with ExitStack() as stack:
        server = stack.enter_context(listen(environment))
        members = _gathered(environment, server, waiting, stack)
        own = members[0].here
        _start(settings, own, "--head", f"--port={RAY_PORT}", "--include-dashboard=false")
        stack.callback(_stop)
        for member in members:
            member.say(_JOIN, f"{own}:{RAY_PORT}")
        for member in members:
            if member.heard() != [_JOINED]:
                raise UserError(f"Host {member.host} could not join Ray's cluster. Its log tells why.")
        print(f"Ray: a cluster of {len(environment.hosts)} hosts.", flush=True)
        over = threading.Event()
        for member in members:
            watch = (member, over, environment.failure_file)
            threading.Thread(target=_watch, args=watch, daemon=True).start()
        try:
            yield {own: environment.current_host, **{one.address: one.host for one in members}}
        finally:
            over.set()
        for member in members:
            member.say(_DONE)


def joining(environment: Environment, settings: Settings) -> None:
    """On another host: fit folds for the first one until its job is done.

    Raises:
        UserError: the first host was not reached, or ended without a model.
        Stopped: the job was told to stop.
    """
    leader = sorted(environment.hosts)[0]
    lost = (
        f"Host {leader}, which leads the job, ended before the model was done. Its log and its failure file "
        "say why."
    )
    with ExitStack() as stack:
        connection = stack.enter_context(connect(leader, settings["host_timeout"]))
        to_leader = _member(leader, connection, stack)
        to_leader.say(environment.current_host)
        words = to_leader.heard()
        if words[:1] != [_JOIN]:
            raise UserError(lost)
        _start(settings, to_leader.here, f"--address={words[1]}")
        stack.callback(_stop)
        to_leader.say(_JOINED)
        print(f"Fits folds of models for {leader}.", flush=True)
        try:
            words = to_leader.heard()
        except stopping.Stopped:  # the leader may hear of the stop later, and would take this host for lost
            to_leader.say(_STOPPED)
            raise
        if words != [_DONE]:
            raise UserError(lost)


def _gathered(
    environment: Environment, server: socket.socket, waiting: Waiting, stack: ExitStack
) -> list[Member]:
    """The other hosts of the job, as soon as all have come."""
    missing = set(environment.hosts) - {environment.current_host}
    members = []
    server.settimeout(0.2)
    while missing:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            wait_on(waiting, f"the hosts {', '.join(sorted(missing))}", pause=0)
            continue
        connection.settimeout(_GREETING_SECONDS)
        member = _member("", stack.enter_context(connection), stack)
        host = " ".join(member.heard())
        connection.settimeout(None)
        if host in missing:
            missing.remove(host)
            members.append(replace(member, host=host))
    return members


def _member(host: str, connection: socket.socket, stack: ExitStack) -> Member:
    """The other end of a connection, which the kernel asks now and then whether it is still there."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    lines = stack.enter_context(connection.makefile(encoding="utf-8"))
    stack.callback(_hang_up, connection)  # before the file is closed, which waits for a thread that reads it
    theirs, ours = connection.getpeername()[0], connection.getsockname()[0]
    return Member(host, str(theirs), str(ours), connection, lines)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _watch(member: Member, over: threading.Event, failure_file: Path) -> None:
    """End the job as soon as a host is lost: the platform would (TRAIN-75), and AutoGluon asks nobody."""
    if member.heard() or over.is_set() or stopping.requested():
        return
    reason = (
        f"Host {member.host} was lost: its connection ended before the job did. The end of its log may "
        "say more; a host whose memory is not enough ends so."
    )
    os._exit(fail(failure_file, reason))


def _start(settings: Settings, address: str, *options: str) -> None:
    import torch

    cpus = settings["num_cpus"] or usable_cpus()
    machine = (f"--num-cpus={cpus}", f"--num-gpus={torch.cuda.device_count()}")
    _ray("start", f"--node-ip-address={address}", *machine, "--disable-usage-stats", *options)


def _stop() -> None:
    _ray("stop", "--force")


def _ray(*arguments: str) -> None:
    command: Sequence[str] = (sys.executable, "-m", "ray.scripts.scripts", *arguments)
    started = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    if result.returncode and arguments[0] == "start":
        last = (result.stderr or result.stdout).strip().splitlines()[-1:]
        seconds = time.monotonic() - started
        raise UserError(f"Ray did not start ({seconds:.0f} s): {' '.join(last) or result.returncode}.")
