"""Why many clients at once are not served: what the kernel knows of the queue of a port (HOST-30)."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.conformance.diagnosis import PORT, listening
from tests.conformance.once import CauseError
from toolkit.errors import ToolkitError
from toolkit.serving.endpoint import Endpoint


class Queue(NamedTuple):
    """Connections to a container's port that its program has not accepted.

    Attributes:
        waiting: so many are in the queue now.
        refused: so many times since the start the queue was full, and the kernel dropped what came.
    """

    waiting: int
    refused: int


@contextmanager
def crowd(endpoint: Endpoint) -> Iterator[None]:
    """Many clients come within the block, and are still there at its end.

    Raises:
        CauseError: a client had no answer, and the kernel knows why.
    """
    before = _queue(endpoint)
    try:
        yield
    except (OSError, EOFError, http.client.HTTPException, ToolkitError) as error:
        now = _queue(endpoint)
        if now.waiting:
            seen = f"{now.waiting} connections wait for the server to accept them"
            raise CauseError("clients-wait", f"{seen}: {error}.") from error
        if refused := now.refused - before.refused:
            times = "once" if refused == 1 else f"{refused} times"
            seen = f"the queue of connections to port {PORT} was full {times}, and the kernel dropped them"
            raise CauseError("queue-full", f"{seen}: {error}.") from error
        raise


def _queue(endpoint: Endpoint) -> Queue:
    """Nothing waits and nothing was dropped, as far as an image without `cat` shows."""
    try:
        sockets = listening(endpoint)
        counters = endpoint.container.exec(["cat", "/proc/net/netstat"], b"").decode()
    except ToolkitError:
        return Queue(0, 0)
    # Of a listening socket rx_queue, the number behind the colon, counts connections.
    waiting = [
        int(row[4].partition(":")[2], 16) for row in sockets if int(row[1].partition(":")[2], 16) == PORT
    ]
    names, values = (line.split() for line in counters.splitlines() if line.startswith("TcpExt:"))
    return Queue(sum(waiting), int(values[names.index("ListenOverflows")]))
