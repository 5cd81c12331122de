"""A host that does not lead: it hands over its files, boosts its rows, and ends when the leader does."""

from __future__ import annotations

import contextlib
import select
import time

from opt_ml.environment import Environment
from opt_ml.errors import UserError
from opt_ml.training import stopping
from opt_ml.training.addresses import connect

from opt_ml_ensemble.hosts.files import hand_over, listing
from opt_ml_ensemble.hosts.link import Link, LinkLostError, Message
from opt_ml_ensemble.hosts.process import BoostingProcess
from opt_ml_ensemble.hosts.watch import lost

# After SIGTERM the leader saves what it has, and needs the others until then; SIGKILL comes after 120 s.
STOP_LIMIT = 90.0
LEADER_LIMIT = 15.0  # seconds for the leader to say what went wrong
_TICK = 0.5


def follow(environment: Environment, limit: float, boosts: bool) -> None:
    """Take part in the job until the leader is done.

    Args:
        environment: of this host.
        limit: seconds to wait for the leader at the beginning.
        boosts: whether the job has a model that is boosted on all hosts.

    Raises:
        UserError: the job failed on another host, or that host was lost; the text says why.
        Stopped: the job was told to stop.
    """
    leader = sorted(environment.hosts)[0]
    print(f"{environment.current_host} takes part: {leader} leads, and writes the model.", flush=True)
    process = BoostingProcess() if boosts else None  # starts up while the leader reads
    try:
        link = Link(connect(leader, limit))
    except BaseException:
        if process is not None:
            process.end()
        raise
    member = _Member(environment, leader, link, process)
    try:
        link.send(
            "hello",
            {
                "host": environment.current_host,
                "job": environment.job_name,
                "channels": listing(environment.channels),
            },
        )
        with stopping.deferred():
            member.serve()
    except LinkLostError:
        raise UserError(lost(leader)) from None
    except UserError as error:
        member.report(str(error))
        raise
    finally:
        member.end()
    stopping.check()


class _Member:
    def __init__(
        self, environment: Environment, leader: str, link: Link, process: BoostingProcess | None
    ) -> None:
        self._environment = environment
        self._leader = leader
        self._link = link
        self._process = process
        self._stopped_at: float | None = None
        self._failed_elsewhere = False

    def serve(self) -> None:
        """Do what the leader asks, until it is done."""
        while True:
            self._wait()
            message = self._link.receive()
            if message.kind == "end":
                return
            if message.kind == "failed":
                self._failed_elsewhere = True
                raise UserError(str(message.facts["reason"]))
            if message.kind == "open":
                channel = self._environment.channels[message.facts["channel"]]
                hand_over(self._link, channel, message.facts["file"])
            else:
                self._pass_on(message)

    def report(self, reason: str, by_xgboost: bool = False) -> None:
        """Tell the leader why this host fails, unless the leader knows."""
        if not self._failed_elsewhere:
            with contextlib.suppress(LinkLostError):
                self._link.send("failed", {"reason": reason, "by_xgboost": by_xgboost})

    def end(self) -> None:
        """No process and no connection is left."""
        if self._process is not None:
            self._process.end()
        self._link.close()

    def _wait(self) -> None:
        """Until the leader speaks. The boosting process works while this one waits."""
        while True:
            watched = [self._link] + ([self._process.link] if self._process else [])
            ready, _, _ = select.select(watched, [], [], _TICK)
            self._notice_stop()
            if self._link in ready:
                return
            if ready and self._process:
                self._take_answer(self._process)

    def _take_answer(self, process: BoostingProcess) -> None:
        """`done`, or the reason why not. A peer that XGBoost misses is most likely lost: ask the leader."""
        try:
            process.answer()
        except UserError as error:
            self.report(str(error), by_xgboost=True)
            ready, _, _ = select.select([self._link], [], [], LEADER_LIMIT)
            message = self._link.receive() if ready else None
            self._failed_elsewhere = True
            if message is not None and message.kind == "failed":
                raise UserError(str(message.facts["reason"])) from None
            raise

    def _pass_on(self, message: Message) -> None:
        if message.kind == "join":
            # The tracker is with the leader, under whatever address this host reached it.
            arguments = {**message.facts["arguments"], "dmlc_tracker_uri": self._link.peer_address()}
            message = Message("join", {**message.facts, "arguments": arguments})
        if self._process is None:
            raise UserError(
                f"{self._leader} boosts, but this host has no part in that: give all the same job."
            )
        try:
            self._process.link.forward(message)
        except LinkLostError:
            raise UserError(self._process.ending()) from None

    def _notice_stop(self) -> None:
        if not stopping.requested():
            return
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._link.send("stopping")
        if time.monotonic() - self._stopped_at > STOP_LIMIT:
            raise stopping.Stopped
