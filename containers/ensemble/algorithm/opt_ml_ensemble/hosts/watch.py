"""While the leader trains: a host that is lost, fails or stops ends the job, whatever the leader is doing."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

from opt_ml.training import stopping
from opt_ml.training.failure import fail

from opt_ml_ensemble.hosts.files import Remote
from opt_ml_ensemble.hosts.link import LinkLostError, Message

_GRACE = 10.0  # seconds for the main thread to end by itself
_SUSPECT_GRACE = 2.0
_STOP_GRACE = 20.0  # for the platform's SIGTERM to reach every host
_TICK = 0.2


def lost(host: str) -> str:
    """The cause of failure of a job that lost a host."""
    return (
        f"Host {host} was lost: its connection ended before the job did. The last lines of its log may say "
        "more; a host whose memory is not enough ends so."
    )


class Watch(threading.Thread):
    """Reads what the other hosts say unasked, from `start` to `end`.

    Args:
        remotes: the other hosts.
        on_end: called once the job is bound to fail, so that the main thread waits for nothing any more.
        tell: sends the others the cause.
        failure_file: for the case that the main thread does not come to it.

    Attributes:
        reason: why the job fails, empty while nothing is wrong.
    """

    def __init__(
        self,
        remotes: list[Remote],
        on_end: Callable[[], None],
        tell: Callable[[str], None],
        failure_file: Path,
    ) -> None:
        super().__init__(daemon=True)
        self.reason = ""
        self._links = {one.link: one.host for one in remotes}
        self._on_end = on_end
        self._tell = tell
        self._failure_file = failure_file
        self._over = threading.Event()
        self._suspected: tuple[float, str] | None = None
        self._stopping: dict[str, float] = {}

    def run(self) -> None:
        """The thread."""
        while not self._over.is_set():
            ready, _, _ = select.select(list(self._links), [], [], _TICK)
            for link in ready:
                host = self._links[link]
                try:
                    self._take(host, link.receive())
                except LinkLostError:
                    del self._links[link]
                    if not stopping.requested():  # then a host may end as soon as it likes
                        self._fail(lost(host))
            self._look_back()

    def end(self) -> None:
        """Take no more notice."""
        self._over.set()

    def explanation(self, seconds: float = 5.0) -> str:
        """The reason, which may become known a moment after its consequences."""
        deadline = time.monotonic() + seconds
        while not self.reason and time.monotonic() < deadline and not stopping.requested():
            time.sleep(0.05)
        return self.reason

    def _take(self, host: str, message: Message) -> None:
        if message.kind == "stopping":
            self._stopping[host] = time.monotonic()
        elif message.kind == "failed":
            reason = f"{message.facts['reason']} (on host {host})"
            if message.facts["by_xgboost"]:
                self._suspected = self._suspected or (time.monotonic(), reason)
            else:
                self._fail(reason)

    def _look_back(self) -> None:
        now = time.monotonic()
        # What XGBoost complains of is most likely that another host is lost: that is told in a moment.
        if self._suspected and now - self._suspected[0] > _SUSPECT_GRACE:
            self._fail(self._suspected[1])
        for host, since in self._stopping.items():
            if not stopping.requested() and now - since > _STOP_GRACE:
                self._fail(f"Host {host} was told to stop, and the others were not.")

    def _fail(self, reason: str) -> None:
        """End the job: the main thread by itself if it can, else from here."""
        if self._over.is_set():
            return
        self.reason = reason
        # At once: a platform that sees one host fail may stop the others, and stopped hosts write no cause.
        with contextlib.suppress(OSError):
            self._failure_file.parent.mkdir(parents=True, exist_ok=True)
            self._failure_file.write_text(reason + "\n", encoding="utf-8")
        self._on_end()
        if self._over.wait(_GRACE):
            return
        # A library that trains for an hour asks nobody, and the job cannot complete any more.
        self._tell(reason)
        os._exit(fail(self._failure_file, reason))
