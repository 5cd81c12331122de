"""The containers of a job from their start to the end of the last: logs, stops, Ctrl-C, failed hosts.

One thread a host reads its log; all else happens in the caller's thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from enum import Enum

from toolkit.machine.container import Container, Ending
from toolkit.jobs.job_log import JobLog

Watch = Callable[[str, Container], AbstractContextManager[object]]
_LOOK_SECONDS = 0.5  # between two looks at what no event tells


class Cause(Enum):
    """Why the containers were ended from outside; the values are SecondaryStatus of DescribeTrainingJob."""

    STOPPED = "Stopped"
    MAX_RUNTIME = "MaxRuntimeExceeded"
    INTERRUPTED = "Interrupted"


@dataclass(frozen=True)
class Order:
    """End the containers at a time.

    Attributes:
        after: seconds after their start.
        cause: why.
        grace: seconds from SIGTERM to SIGKILL; 0 for SIGKILL at once.
        words: what the person at the screen reads.
    """

    after: float
    cause: Cause
    grace: float
    words: str


@dataclass(frozen=True)
class AttemptEnd:
    """How the containers ended.

    Attributes:
        cause: None where they ended by themselves, or one of them failed.
        by_hand: Ctrl-C was the cause.
        endings: host -> how it ended.
        seconds: from the start to the end of the last.
    """

    cause: Cause | None
    by_hand: bool
    endings: Mapping[str, Ending]
    seconds: float

    @property
    def first_failed(self) -> str | None:
        """The host that ended first of those that failed, whose reason is the job's."""
        failed = [(ending.finished_at, host) for host, ending in self.endings.items() if ending.exit_code]
        return min(failed)[1] if failed else None


class Attempt:
    """One start of the job's containers.

    Args:
        containers: host -> container, started.
        log: receives the lines.
        orders: when to end them; the earliest counts.
        grace: seconds from SIGTERM to SIGKILL after Ctrl-C and after the failure of a host.
    """

    def __init__(
        self, containers: Mapping[str, Container], log: JobLog, orders: Sequence[Order], grace: float
    ) -> None:
        self._containers, self._log, self._grace = containers, log, grace
        self._orders = sorted(orders, key=lambda order: order.after)
        self._events: queue.SimpleQueue[tuple[str, str] | Exception | None] = queue.SimpleQueue()
        self._endings: dict[str, Ending] = {}
        self._cause: Cause | None = None
        self._by_hand = False
        self._stops: list[threading.Thread] = []
        self._watches = {host: ExitStack() for host in containers}
        self._started = time.monotonic()
        self._ended = self._started

    def break_off(self, error: Exception) -> None:
        """Let `follow` raise `error`; from any thread."""
        self._events.put(error)

    def follow(self, watch: Watch | None = None, stop: threading.Semaphore | None = None) -> AttemptEnd:
        """Pass on the log until all containers have ended.

        Args:
            watch: called with each host and its container; what it returns is entered now and left when
                the container has ended.
            stop: each release of it counts as one Ctrl-C, for a caller that runs this in a thread.

        Raises:
            Exception: what broke the reading of a log, or was given to `break_off`.
        """
        with ExitStack() as watches:
            for host, container in self._containers.items():
                watches.enter_context(self._watches[host])
                if watch:
                    self._watches[host].enter_context(watch(host, container))
                threading.Thread(target=self._read, args=(host, container), daemon=True).start()
            while len(self._endings) < len(self._containers) or not self._events.empty():
                try:
                    self._step()
                    if stop and stop.acquire(blocking=False):
                        self._interrupt()
                except KeyboardInterrupt:
                    self._interrupt()
            self._see_endings()
        return AttemptEnd(self._cause, self._by_hand, dict(self._endings), self._ended - self._started)

    def _read(self, host: str, container: Container) -> None:
        try:
            for line in container.lines():
                self._events.put((host, line))
            ending = container.ending()
            self._ended = time.monotonic()
            self._endings[host] = ending
            self._events.put(None)
        except Exception as error:
            self._events.put(error)

    def _step(self) -> None:
        """One line, or the end of a host, or an order that is due."""
        now = time.monotonic() - self._started
        wait = _LOOK_SECONDS
        if self._orders and not self._stops:
            wait = min(wait, max(0.0, self._orders[0].after - now))
        try:
            event = self._events.get(timeout=wait)
        except queue.Empty:
            event = None
        if isinstance(event, Exception):
            raise event
        if event:
            self._log.keep(*event)
        self._see_endings()
        self._obey()

    def _see_endings(self) -> None:
        for host, ending in list(self._endings.items()):
            self._watches[host].close()
            if ending.exit_code and not self._stops and self._running():
                self._end(
                    self._grace,
                    f"{host} ended with exit code {ending.exit_code}, so the job fails. Stopping the other "
                    f"hosts: {_signals(self._grace)}",
                )

    def _obey(self) -> None:
        if self._stops or not self._orders:
            return
        order = self._orders[0]
        if time.monotonic() - self._started >= order.after and self._is_any_running():
            self._cause = order.cause
            self._end(order.grace, f"{order.words}: {_signals(order.grace)}")

    def _interrupt(self) -> None:
        if self._cause is Cause.INTERRUPTED:
            self._cause, self._by_hand = Cause.STOPPED, True
            self._log.say("The job will not start again. Press Ctrl-C again to kill it now.")
        elif not self._is_any_running():
            return
        elif self._stops:
            self._log.say("Killing the job.")
            for container in self._running():
                container.kill()
        else:
            self._cause, self._by_hand = Cause.STOPPED, True
            self._end(
                self._grace,
                f"Stopping the job: {_signals(self._grace)} Press Ctrl-C again to kill it now.",
            )

    def _running(self) -> list[Container]:
        return [container for host, container in self._containers.items() if host not in self._endings]

    def _is_any_running(self) -> bool:
        """False also where all have ended by themselves, and only their last lines are still to come."""
        return any(container.is_running() for container in self._running())

    def _end(self, grace: float, words: str) -> None:
        """Ask all running containers at once, and wait for none of them here."""
        for container in self._running():
            action = (container.stop, (grace,)) if grace else (container.kill, ())
            self._stops.append(threading.Thread(target=action[0], args=action[1], daemon=True))
        for thread in self._stops:
            thread.start()
        self._log.say(words)


def _signals(grace: float) -> str:
    return f"SIGTERM now, SIGKILL in {grace:g} s." if grace else "SIGKILL now, without notice."
