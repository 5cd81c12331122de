"""What a channel in Pipe mode streams in one epoch: objects end to end, RecordIO, augmented manifests; pure.

Sources: contract rules TRAIN-56 to TRAIN-61.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.jobs import channel_data
from toolkit.errors import ToolkitError
from toolkit.jobs.job_description import Channel

CHUNK = 1 << 20  # bytes
MAGIC = 0xCED7230A  # of a RecordIO record (TRAIN-59)
_LONGEST_RECORD = (1 << 29) - 1  # bytes: the three upper bits of the length are flags


class PipeSource:
    """One host's stream of one channel, epoch by epoch.

    Args:
        channel: in Pipe mode.
        hosts: those that get the channel, sorted as text.
        host: one of them.

    Raises:
        ToolkitError: a manifest that cannot be read.
    """

    def __init__(self, channel: Channel, hosts: Sequence[str], host: str) -> None:
        self.channel, self._hosts, self._host = channel, hosts, host
        self._lines = channel_data.manifest_lines(channel) if channel.attribute_names else []
        self._files = [] if channel.attribute_names else list(channel_data.objects(channel).values())

    def epoch(self, number: int) -> Iterator[bytes]:
        """The bytes of epoch `number`, from 0, in pieces.

        Raises:
            ToolkitError: a file that cannot be read, or is too long for a RecordIO record.
        """
        for path in self._share(self._files, number):
            yield from self._file(path)
        for line in self._share(self._lines, number):
            for name in self.channel.attribute_names:
                yield from self._attribute(line, name)

    def _share(self, items: Sequence[Any], epoch: int) -> list[Any]:
        return channel_data.share(items, self.channel, self._hosts, self._host, epoch)

    def _attribute(self, line: Mapping[str, Any], name: str) -> Iterator[bytes]:
        """A `-ref` attribute is the content of its object, any other its JSON text (TRAIN-60)."""
        if name.endswith("-ref"):
            yield from self._file(channel_data.referenced(self.channel, line[name]))
        else:
            text = json.dumps(line[name], ensure_ascii=False).encode()
            yield from self._wrapped([text], len(text), name)

    def _file(self, path: Path) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                yield from self._wrapped(iter(lambda: file.read(CHUNK), b""), path.stat().st_size, str(path))
        except OSError as error:
            raise ToolkitError(
                f"Channel {self.channel.name}: {path} cannot be read: {error.strerror}."
            ) from None

    def _wrapped(self, chunks: Iterator[bytes] | list[bytes], length: int, what: str) -> Iterator[bytes]:
        if self.channel.record_wrapper != "RecordIO":
            yield from chunks
            return
        if length > _LONGEST_RECORD:
            raise ToolkitError(
                f"Channel {self.channel.name}: {what} has {length} bytes; a RecordIO record holds less than "
                "512 MiB.",
                "Split the file, or leave RecordIO out.",
            )
        yield struct.pack("<II", MAGIC, length)
        yield from chunks
        yield bytes(-length % 4)
