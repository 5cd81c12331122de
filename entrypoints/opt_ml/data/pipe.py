"""Pipe mode: one FIFO an epoch, `/opt/ml/input/data/<channel>_<epoch>` (TRAIN-56 to TRAIN-58)."""

from __future__ import annotations

import itertools
import os
import select
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from opt_ml.environment import Channel
from opt_ml.waiting import Waiting

WAIT_LIMIT = 900.0  # seconds, as long as AWS's own toolkit waits for the names of the other hosts
SAID_AFTER = 10.0  # seconds; a platform that is merely starting is not worth a line
_PAUSE = 0.05
_BUFFER = 1 << 20


def open_epoch(channel: Channel, epoch: int = 0, wait_limit: float = WAIT_LIMIT) -> BinaryIO:
    """Open a Pipe channel's FIFO for one pass over its data.

    The FIFO may appear late (TRAIN-57), and whoever fills it may come later still; a SIGTERM ends the
    wait as it ends everything else. Read the stream to its end or close it early (TRAIN-58), and close it
    before the next epoch is opened.

    Args:
        channel: the channel.
        epoch: counted from 0.
        wait_limit: seconds to wait.

    Returns:
        a buffered binary stream that can be neither sought nor read again.

    Raises:
        UserError: no FIFO, or nobody who writes to it, within the limit.
    """
    path = fifo(channel, epoch)
    waiting = Waiting(wait_limit, SAID_AFTER)
    while True:
        try:
            # Without O_NONBLOCK the kernel would wait for a writer for ever, and could not say so.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            break
        except FileNotFoundError:
            _go_on(waiting, f"{path} does not exist", channel)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not poll.poll(_PAUSE * 1000):
            _go_on(waiting, f"nothing has opened {path} for writing", channel, pause=0.0)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb", buffering=_BUFFER)
    except BaseException:
        os.close(descriptor)
        raise


def epochs(channel: Channel, wait_limit: float = WAIT_LIMIT) -> Iterator[BinaryIO]:
    """One stream an epoch, without end: leave the loop when you have read enough (TRAIN-58).

    Each stream is closed before the next one is opened (TRAIN-57), also where it was not read to its end.

    Raises:
        UserError: as `open_epoch`.
    """
    for epoch in itertools.count():
        with closing(open_epoch(channel, epoch, wait_limit)) as stream:
            yield stream


def fifo(channel: Channel, epoch: int) -> Path:
    """Where the FIFO of an epoch is, or will be."""
    return channel.directory.with_name(f"{channel.name}_{epoch}")


def _go_on(waiting: Waiting, what: str, channel: Channel, pause: float = _PAUSE) -> None:
    waiting.go_on(
        lambda: f"Waiting for the channel {channel.name} in Pipe mode: {what} yet.",
        lambda waited: (
            f"The channel {channel.name} is in Pipe mode, but {what} after {waited:.0f} s. "
            "Outside SageMaker use File mode, or write the data to that FIFO."
        ),
        pause,
    )
