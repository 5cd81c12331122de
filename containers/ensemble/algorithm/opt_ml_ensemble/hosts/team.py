"""The hosts of a job as their leader sees them: whose files it reads, and who boosts with it."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from opt_ml.environment import Channel, Environment
from opt_ml.errors import UserError
from opt_ml.training import stopping
from opt_ml.training.addresses import listen, wait_on
from opt_ml.waiting import Waiting

from opt_ml_ensemble.boosting import Fit, find_cuts
from opt_ml_ensemble.hosts.files import Remote, listing, objects
from opt_ml_ensemble.hosts.link import Link, LinkLostError
from opt_ml_ensemble.hosts.process import BoostingProcess, fit_message
from opt_ml_ensemble.hosts.watch import Watch, lost
from opt_ml_ensemble.schema import Data

_HELLO_LIMIT = 10.0  # seconds for a connection to say who it is


class Team:
    """A context manager: entered, all hosts are there; left, all have been told how the job ended.

    Args:
        environment: of the leading host.
        limit: seconds to wait for the others.
        boosts: whether the job has fits to `boost`.

    Raises:
        UserError: a host that does not come, on entering.
    """

    def __init__(self, environment: Environment, limit: float, boosts: bool) -> None:
        self._environment = environment
        self._limit = limit
        self._own = listing(environment.channels)
        self._remotes: list[Remote] = []
        # It starts up while the data is read.
        self._process = BoostingProcess() if boosts else None
        self._joined = False
        self._watch: Watch | None = None

    def __enter__(self) -> Team:
        try:
            self._gather()
        except BaseException as error:
            self._end(error)
            raise
        print(f"{len(self._remotes) + 1} hosts: {self._environment.current_host} leads.", flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unwatch()
        self._end(error)

    def has(self, channel: Channel) -> bool:
        """True where any host has the channel."""
        return channel.name in self._own or any(channel.name in one.channels for one in self._remotes)

    def objects(self, channel: Channel) -> Iterator[tuple[Path, BinaryIO]]:
        """The files of all hosts; see `hosts.files`. All channels must be read before `watch`.

        Raises:
            UserError: a host failed or was lost meanwhile.
        """
        try:
            yield from objects(channel, self._own.get(channel.name), self._remotes)
        except LinkLostError:
            raise UserError(lost(self._silent().host)) from None

    def watch(self) -> None:
        """From now on notice a host that is lost, fails or stops."""
        self._watch = Watch(
            self._remotes, self._kill_process, self._tell_failed, self._environment.failure_file
        )
        self._watch.start()

    def unwatch(self) -> None:
        """The others have done their part: what becomes of them now changes nothing.

        They are still not told to end, because the SageMaker SDKs stop all hosts in local mode as soon as one
        has ended, and the model must be whole by then.
        """
        if self._watch is not None:
            self._watch.end()

    def boost(self, fit: Fit, train: Data, watched: Data | None) -> TeamRounds:
        """Begin a fit on all hosts, each with its share of the rows; as `boosting.LocalRounds`.

        Raises:
            UserError: a host was lost or failed.
        """
        process = self._join()
        cuts = find_cuts(fit, train)
        count = len(self._remotes) + 1
        links = [process.link, *(one.link for one in self._remotes)]
        with self.explained():
            for rank, link in enumerate(links):
                seen = None if watched is None else _share(watched, rank, count)
                first_row = len(train) * rank // count
                facts, buffers = fit_message(fit, first_row, _share(train, rank, count), seen, cuts)
                link.send("fit", facts, *buffers)
            rounds = int(process.answer().facts["rounds"])
        return TeamRounds(self, process, rounds)

    def everywhere(self, kind: str, **facts: Any) -> Mapping[str, Any]:
        """Send a message to all boosting processes; the facts of the answer of the leader's own.

        Raises:
            UserError: a host was lost or failed.
        """
        if self._process is None:
            raise AssertionError("no fit has begun")
        with self.explained():
            for remote in self._remotes:
                remote.link.send(kind, facts)
            return self._process.ask(kind, facts).facts

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """What goes wrong in this block is most likely another host's doing, and told as that."""
        try:
            yield
        except (LinkLostError, UserError) as error:
            reason = self._watch.explanation() if self._watch else ""
            if not reason:
                stopping.check()
            raise UserError(reason or str(error)) from None

    def _gather(self) -> None:
        hosts = sorted(self._environment.hosts)
        missing = set(hosts) - {self._environment.current_host}
        found: dict[str, Remote] = {}
        waiting = Waiting(self._limit)
        with listen(self._environment) as server:
            server.settimeout(0.2)
            while missing:
                with contextlib.suppress(TimeoutError):
                    connection, _ = server.accept()
                    remote = self._greeted(connection, missing)
                    if remote is not None:
                        found[remote.host] = remote
                        missing.discard(remote.host)
                        self._remotes = [found[host] for host in hosts if host in found]
                for one in self._remotes:
                    if _has_spoken(one.link):
                        raise UserError(_last_words(one))
                if missing:
                    wait_on(waiting, f"the hosts {', '.join(sorted(missing))}", pause=0.0)

    def _greeted(self, connection: socket.socket, missing: set[str]) -> Remote | None:
        """The host behind a new connection; None for a stranger."""
        connection.settimeout(_HELLO_LIMIT)
        link = Link(connection)
        with contextlib.suppress(LinkLostError, KeyError):
            facts = link.receive().facts
            if facts["host"] in missing and facts["job"] == self._environment.job_name:
                connection.settimeout(None)
                return Remote(facts["host"], link, facts["channels"])
        link.close()
        return None

    def _join(self) -> BoostingProcess:
        """Join the boosting processes once; XGBoost's tracker is in the leader's own."""
        process = self._process
        if process is None:
            raise AssertionError("the job was to have nothing to boost")
        if self._joined:
            return process
        # Where another host has reached this one; a name may resolve to something else here (TRAIN-42).
        address = self._remotes[0].link.own_address()
        with self.explained():
            count = len(self._remotes) + 1
            arguments = process.ask("track", {"hosts": count, "address": address}).facts["arguments"]
            for rank, remote in enumerate(self._remotes, start=1):
                remote.link.send("join", {"arguments": arguments, "rank": rank})
            process.ask("join", {"arguments": arguments, "rank": 0})
        self._joined = True
        return process

    def _kill_process(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _end(self, error: BaseException | None) -> None:
        """Tell the others how the job ended, and end the own process."""
        if error is None or isinstance(error, stopping.Stopped):
            for remote in self._remotes:
                with contextlib.suppress(LinkLostError):
                    remote.link.send("end")
        elif isinstance(error, UserError):
            self._tell_failed(str(error))
        else:
            self._tell_failed(f"{type(error).__name__}: {error}")
        if self._process is not None:
            self._process.end()

    def _tell_failed(self, reason: str) -> None:
        for remote in self._remotes:
            with contextlib.suppress(LinkLostError):
                remote.link.send("failed", {"reason": reason})

    def _silent(self) -> Remote:
        return next((one for one in self._remotes if _has_spoken(one.link)), self._remotes[0])


class TeamRounds:
    """A fit on all hosts; see `boosting.Rounds`."""

    def __init__(self, team: Team, process: BoostingProcess, rounds: int) -> None:
        self._team = team
        self._process = process
        self._rounds = rounds

    @property
    def rounds(self) -> int:
        """See `Rounds`."""
        return self._rounds

    def forget(self) -> None:
        """See `Rounds`."""
        self._team.everywhere("forget")

    def update(self, number: int) -> None:
        """See `Rounds`."""
        self._team.everywhere("update", number=number)
        self._rounds += 1

    def losses(self, number: int) -> tuple[float, float]:
        """See `Rounds`."""
        train, validation = self._team.everywhere("losses", number=number)["losses"]
        return float(train), float(validation)

    def raw(self, rounds: int) -> bytes:
        """See `Rounds`."""
        with self._team.explained():
            return self._process.ask("raw", {"rounds": rounds}).to_bytes()


def _share(data: Data, rank: int, count: int) -> Data:
    rows = slice(len(data) * rank // count, len(data) * (rank + 1) // count)
    return Data(data.matrix[rows], data.label[rows], None if data.weight is None else data.weight[rows])


def _has_spoken(link: Link) -> bool:
    """True for a link on which nothing is expected and something has come: its end, or the reason for it."""
    ready, _, _ = select.select([link], [], [], 0)
    return bool(ready)


def _last_words(remote: Remote) -> str:
    try:
        message = remote.link.receive()
    except LinkLostError:
        return lost(remote.host)
    if message.kind == "stopping":
        return f"Host {remote.host} was told to stop before all hosts were there."
    return f"{message.facts.get('reason')} (on host {remote.host})"
