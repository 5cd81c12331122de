"""The process of one host in which XGBoost's rounds run, and the handle on it.

XGBoost ends the whole process when a peer of its collective is lost, so this one holds nothing else. It
speaks to the host's `train` over a socket pair and ends with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import xgboost
from opt_ml.errors import UserError
from opt_ml.resources import usable_cpus
from xgboost import collective
from xgboost.tracker import RabitTracker

from opt_ml_ensemble.boosting import Fit, LocalRounds, coarse
from opt_ml_ensemble.hosts.link import Link, LinkLostError, Message
from opt_ml_ensemble.schema import Data

# A lost host is seen on the links within seconds; a slow one may be slow. Poll takes milliseconds as int32.
_NEVER = 7 * 24 * 3600
_PR_SET_PDEATHSIG = 1


class BoostingProcess:
    """The handle: starts the process, and passes messages to it and back.

    Attributes:
        link: to the process.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            # Between two rounds its threads wait for other hosts. Where they spin meanwhile, hosts that share
            # CPUs (a job on one's own machine) take them from each other: 23 s instead of 6 on two cores.
            environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
            )
        self.link = Link(ours)

    def ask(self, kind: str, facts: dict[str, Any] | None = None, *buffers: Any) -> Message:
        """Send a message and wait for the answer.

        Raises:
            UserError: the process could not do it, or is gone.
        """
        try:
            self.link.send(kind, facts, *buffers)
        except LinkLostError:
            raise UserError(self.ending()) from None
        return self.answer()

    def answer(self) -> Message:
        """The answer to a message that was sent before.

        Raises:
            UserError: as `ask`.
        """
        try:
            found = self.link.receive()
        except LinkLostError:
            raise UserError(self.ending()) from None
        if found.kind == "failed":
            raise UserError(str(found.facts["reason"]))
        return found

    def ending(self) -> str:
        """How the process ended, in words; waits for it."""
        code = self._process.wait()
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        hint = " Most likely its memory was not enough: use an instance with more." if code == -9 else ""
        return f"The process in which XGBoost trains ended {how}.{hint}"

    def kill(self) -> None:
        """End it now, whatever it does; whoever waits for its answer learns of it."""
        self._process.kill()

    def end(self) -> None:
        """The same, and nothing of it is left."""
        self._process.kill()
        self._process.wait()
        self.link.close()


def main(descriptor: int) -> None:
    """Do what comes over the link until it closes."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no orphan, wherever it waits
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # `train` decides when a stopped job is over
    xgboost.set_config(verbosity=0)  # a line for every rank; what goes wrong comes as an exception
    link = Link(socket.socket(fileno=descriptor))
    worker = _Worker()
    try:
        while True:
            message = link.receive()
            try:
                link.send("done", *worker.do(message))
            except Exception as error:  # whatever XGBoost says belongs into the failure file
                link.send("failed", {"reason": _in_words(error)})
    except LinkLostError:
        return


def _in_words(error: Exception) -> str:
    """One line; XGBoost writes the place in its sources, then what was wrong, then a stack."""
    lines = str(error).partition("Stack trace:")[0].split("\n")
    text = " ".join(line.strip() for line in lines if line.strip())
    return f"XGBoost: {text[:400]}"


class _Worker:
    def __init__(self) -> None:
        self._tracker: RabitTracker | None = None
        self._rounds: LocalRounds | None = None

    def do(self, message: Message) -> tuple[Any, ...]:
        """Facts and buffers of the answer."""
        facts = message.facts
        if message.kind == "track":
            self._tracker = RabitTracker(n_workers=facts["hosts"], host_ip=facts["address"], sortby="task")
            self._tracker.start()
            return ({"arguments": self._tracker.worker_args()},)
        if message.kind == "join":
            # Ranks follow the sorted task ids.
            collective.init(
                **facts["arguments"], dmlc_task_id=f"{facts['rank']:06}", dmlc_timeout=_NEVER, dmlc_retry=3
            )
            return ({"rank": collective.get_rank()},)
        if message.kind == "fit":
            self._rounds = None  # the rows of the fit before
            self._rounds = _begin(message)
            return ({"rounds": self._rounds.rounds},)
        rounds = self._rounds
        if rounds is None:
            raise RuntimeError(f"{message.kind} before any fit")
        if message.kind == "update":
            rounds.update(facts["number"])
        elif message.kind == "forget":
            rounds.forget()
        elif message.kind == "losses":
            return ({"losses": rounds.losses(facts["number"])},)
        elif message.kind == "raw":
            return {}, rounds.raw(facts["rounds"])
        return ({},)


def fit_message(
    fit: Fit, first_row: int, train: Data, watched: Data | None, cuts: tuple[Any, Any]
) -> tuple[dict[str, Any], list[Any]]:
    """Facts and buffers of the message `fit`; `_begin` takes them apart."""
    parts = [train] if watched is None else [train, watched]
    facts = {
        **fit.facts,
        "first_row": first_row,
        "starts": fit.start is not None,
        "watched": watched is not None,
        "weighted": train.weight is not None,
    }
    buffers: list[Any] = [*cuts, fit.start or b""]
    for part in parts:
        buffers += [part.matrix, part.label] + ([] if part.weight is None else [part.weight])
    return facts, buffers


def _begin(message: Message) -> LocalRounds:
    facts = message.facts
    pointers, values, start, *rest = message.buffers
    width = 3 if facts["weighted"] else 2
    parts = [Data(*rest[at : at + width]) for at in range(0, len(rest), width)]
    options = {**facts["options"], "nthread": min(facts["options"]["nthread"], usable_cpus())}
    fit = Fit(options, facts["kinds"], facts["subsample"], start.tobytes() if facts["starts"] else None)
    rows = coarse(parts[0].matrix, fit.kinds, (pointers, values))
    train = Data(rows, parts[0].label, parts[0].weight)
    return LocalRounds(fit, train, parts[1] if facts["watched"] else None, facts["first_row"])


if __name__ == "__main__":
    main(int(sys.argv[1]))
