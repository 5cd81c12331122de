"""A lane: a process beside the leader that answers plain requests by the quick path.

The leader accepts all connections and deals them out; a connection that sends anything else goes back to it,
whole, with the bytes that have no answer yet. So a lane is small, has one job, and no port of its own
(PIPE-02), and one that dies takes only its own connections with it.

Started by the leader (`serving.lanes`) with one end of a `Channel` as file descriptor `SOCKET`. It ends
when the leader tells it to drain, when the leader closes the channel, and with the leader.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from collections import Counter
from collections.abc import Coroutine, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import orjson
import uvloop

from opt_ml.serving.access_log import AccessLog
from opt_ml.serving.answers import Answer
from opt_ml.serving.http.acceptor import adopt
from opt_ml.serving.http.plain_http import PlainHeads
from opt_ml.serving.line_writer import LineWriter
from opt_ml.serving.log_policy import LogPolicy
from opt_ml.serving.metrics import Metrics
from opt_ml.serving.quick import Quick, find_quick
from opt_ml.serving.quick.channel import Channel, Message, file_of
from opt_ml.serving.quick.quick_connection import AnswerHeads, QuickConnection
from opt_ml.serving.workers.joiner import Asker, Guard, Joiner
from opt_ml.serving.workers.worker_socket import SOCKET, die_with

_TICK = 0.25  # seconds between two reports


class Lane:
    """One lane; see `quick_connection.QuickServer` for what its connections use of it.

    Each tick it reports what it has answered, for the leader's metrics and log: `{"event": "report",
    "ended": connections, "metrics": Metrics.take(), "omitted": AccessLog.take_omitted()}`.

    Args:
        quick: what predicts.
        connection: to the leader.
        idle_timeout: see `Settings`.
        policy: which requests are logged.
        share: processes that share the log's budget.
    """

    def __init__(
        self, quick: Quick, connection: socket.socket, idle_timeout: float, policy: LogPolicy, share: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = Channel(connection, self._on_message, self._on_closed)
        self._idle_timeout = idle_timeout
        self._log = AccessLog(LineWriter(sys.stdout.fileno()), policy, share)
        self._metrics = Metrics()
        self._end = asyncio.Event()
        self._is_draining = False
        self._adopting: set[asyncio.Task[None]] = set()
        self._reported = 0  # connections that the leader thinks are here
        self.now = 0.0
        self.is_healthy = False
        self.plain_heads = PlainHeads()
        self.answer_heads = AnswerHeads()
        self.joiner = Joiner(Guard(quick), self._on_answered)
        self.quick_connections: set[QuickConnection] = set()

    async def run(self) -> None:
        """Serve until told to end."""
        self._tick()
        self._channel.send({"event": "ready"})
        await self._end.wait()
        self._report()
        while self._channel.has_unsent:
            await asyncio.sleep(0.001)
        self._channel.close()
        self._log.close()

    def hand_over(self, transport: asyncio.Transport, received: bytes) -> bool:
        """Give a connection to the leader; see `QuickServer.hand_over`."""
        try:
            file = file_of(received)
        except OSError:  # no descriptor is free: others are, once the leader has them
            return False
        try:
            client = os.dup(transport.get_extra_info("socket").fileno())
        except OSError:
            os.close(file)
            return False
        transport.abort()  # our descriptor is closed; the connection lives on in the other
        self._channel.send({"event": "client"}, (client, file))
        return True

    def _on_message(self, message: Message, descriptors: list[int]) -> None:
        match message["event"]:
            case "client":
                self._reported += 1
                if descriptors:  # else there was no room for it: the client sees a closed connection
                    client = socket.socket(fileno=descriptors[0])
                    self._keep(adopt(client, QuickConnection(self)))
            case "health":
                self.is_healthy = message["is_healthy"]
            case "drain":
                self._is_draining = True
                self._drain()

    def _on_closed(self) -> None:
        self._end.set()

    def _on_answered(self, askers: Sequence[Asker], answers: Sequence[Answer | None], seconds: float) -> None:
        self._metrics.observe_batch(count_answers(self._log, askers, answers, seconds), seconds)

    def _tick(self) -> None:
        self._loop.call_later(_TICK, self._tick)
        self.now = self._loop.time()
        self.answer_heads.set_date(f"Date: {formatdate(usegmt=True)}\r\n".encode())
        self._log.tick()
        self._report()
        for connection in list(self.quick_connections):
            connection.look_after(self._idle_timeout)
        if self._is_draining:
            self._drain()

    def _report(self) -> None:
        here = len(self.quick_connections) + len(self._adopting)
        ended, self._reported = self._reported - here, here
        counts = self._metrics.take()
        if ended or counts["statuses"]:
            omitted = self._log.take_omitted()
            self._channel.send({"event": "report", "ended": ended, "metrics": counts, "omitted": omitted})

    def _drain(self) -> None:
        """Close what is idle; what is not, the leader ends."""
        for connection in list(self.quick_connections):
            connection.drain()
        if not self.quick_connections and not self._adopting:
            self._end.set()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)


def count_answers(
    log: AccessLog, askers: Sequence[Asker], answers: Sequence[Answer | None], seconds: float
) -> Counter[int]:
    """Log the requests that have their answer here, and count them by status."""
    if None in answers:  # a worker's, then
        pairs = [(asker, answer) for asker, answer in zip(askers, answers, strict=True) if answer]
        return log.batch([asker for asker, _ in pairs], [answer for _, answer in pairs], seconds)
    return log.batch(askers, answers, seconds)  # type: ignore[arg-type]  # there is no None


def main(settings: str, leader: int) -> int:
    """Load the quick path, say so, serve. Returns the exit code.

    Args:
        settings: a JSON object of `model_dir` and the arguments of `Lane` and `LogPolicy`.
        leader: process id of the leader.
    """
    die_with(leader)
    given = orjson.loads(settings)
    quick = find_quick(Path(given["model_dir"]))
    if quick is None:
        return 1
    gc.freeze()  # the model stays for good: collections need not walk it
    policy = LogPolicy(given["which"], given["level"])
    with socket.socket(fileno=SOCKET) as connection:
        connection.set_inheritable(False)
        uvloop.run(_serve(quick, connection, given["idle_timeout"], policy, given["share"]))
    return 0


async def _serve(
    quick: Quick, connection: socket.socket, idle_timeout: float, policy: LogPolicy, share: int
) -> None:
    connection.setblocking(False)
    await Lane(quick, connection, idle_timeout, policy, share).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
