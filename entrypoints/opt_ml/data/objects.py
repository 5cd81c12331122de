"""Any channel as the S3 objects that it was made of, each a name and a stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from opt_ml.data.pipe import WAIT_LIMIT, fifo, open_epoch
from opt_ml.data.recordio import record_streams
from opt_ml.environment import Channel


def open_objects(
    channel: Channel, epoch: int = 0, wait_limit: float = WAIT_LIMIT
) -> Iterator[tuple[Path, BinaryIO]]:
    """Each object of a channel, in order, as `(path, stream)`, which the next step closes.

    - File and FastFile mode: each file, read only and from its start to its end (TRAIN-54, TRAIN-55).
    - Pipe mode with RecordIO: each record is an object, `<channel>_<epoch>/record-<number>` (TRAIN-59).
    - Pipe mode without: all objects one after the other are one stream, `<channel>_<epoch>`; nothing marks
      where one ends.

    Args:
        channel: the channel. One without a directory on this host has no objects (TRAIN-46).
        epoch: which pass over a Pipe channel; files can be read as often as you like.
        wait_limit: seconds to wait for a FIFO.

    Raises:
        UserError: a FIFO that does not come, or bytes that are not RecordIO though the channel says so.
    """
    if channel.input_mode != "Pipe":
        for path in channel.files():
            with path.open("rb") as stream:
                yield path, stream
        return
    path = fifo(channel, epoch)
    with closing(open_epoch(channel, epoch, wait_limit)) as stream:
        if channel.record_wrapper != "RecordIO":
            yield path, stream
            return
        for number, record in enumerate(record_streams(stream, channel.name), start=1):
            yield path / f"record-{number}", record
