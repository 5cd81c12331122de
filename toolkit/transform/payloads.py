"""Puts the records of one file together to request bodies (BATCH-12, BATCH-16)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from toolkit.transform.inputs import opened
from toolkit.transform.processing import ProcessingError, filtered
from toolkit.transform.records import RecordError, split
from toolkit.transform.settings import Resolved, TransformJob

_PART = 1 << 16  # bytes of a file that are sent as one chunk


@dataclass(frozen=True)
class Payload:
    """One request.

    Attributes:
        body: makes the body, for each try anew: bytes, or parts that are sent with chunked encoding.
        inputs: makes the records as they stood in the file, for a join.
        records: how many; 0 where they are not counted, in a file that is sent as it is read.
        first: number of the first of them in the file, counted from 1; 0 where the file is not split.
    """

    body: Callable[[], bytes | Iterator[bytes]]
    inputs: Callable[[], Iterator[bytes]]
    records: int
    first: int = 0

    @property
    def place(self) -> str:
        """Which records of its file it holds, for people; empty where the file is not split."""
        if not self.first:
            return ""
        last = self.first + self.records - 1
        return f"records {self.first} to {last}: " if last > self.first else f"record {last}: "


def payloads(path: Path, job: TransformJob, how: Resolved) -> Iterator[Payload]:
    """The requests of a file, in their order; an empty file has none.

    With a limit one payload is in memory at a time; without one the file is read while it is sent.

    Raises:
        RecordError: a record or the whole file is above the limit, or the file is broken.
        ProcessingError: the input filter does not fit a record.
    """
    if job.split_type != "None" and (how.max_payload or how.strategy == "SingleRecord"):
        yield from _of_records(path, job, how)
        return
    with opened(path, job.compression_type) as stream:
        start = stream.read(how.max_payload + 1 if how.max_payload else 1)
    if not start:
        return
    if how.max_payload and len(start) > how.max_payload:
        raise RecordError(
            f"the file is larger than --max-payload ({how.max_payload >> 20} MB), and --split-type is None"
        )
    if job.split_type == "None":
        yield _of_file(path, job, start if how.max_payload else None)
    else:
        yield Payload(lambda: _stream(path, job), lambda: _contents(path, job), 0)


def _of_records(path: Path, job: TransformJob, how: Resolved) -> Iterator[Payload]:
    is_single = how.strategy == "SingleRecord"
    # Padding is removed from single records alone; lines keep their ends (BATCH-16).
    is_bare = is_single and job.split_type != "Line"
    sent: list[bytes] = []
    inputs: list[bytes] = []
    size, first = 0, 1
    with opened(path, job.compression_type) as stream:
        for number, record in enumerate(split(stream, job.split_type, how.max_payload), 1):
            body = record.content if is_bare else record.framed
            if not job.input_filter.is_root:
                body = _filtered(record.content, job, number)
            if sent and (is_single or size + len(body) > how.max_payload):
                yield _of_parts(sent, inputs, first, not how.max_payload)
                sent, inputs, size, first = [], [], 0, number
            sent.append(body)
            inputs.append(record.content if job.join_source == "Input" else b"")
            size += len(body)
    if sent:
        yield _of_parts(sent, inputs, first, not how.max_payload)


def _of_parts(sent: list[bytes], inputs: list[bytes], first: int, is_chunked: bool) -> Payload:
    whole = b"".join(sent)
    return Payload(lambda: iter([whole]) if is_chunked else whole, lambda: iter(inputs), len(inputs), first)


def _of_file(path: Path, job: TransformJob, content: bytes | None) -> Payload:
    """A file that is one record; its content, or None where that may be too large for the memory."""

    def whole() -> bytes:
        if content is not None:
            return content
        with opened(path, job.compression_type) as stream:
            return stream.read()

    def body() -> bytes | Iterator[bytes]:
        if content is None and job.input_filter.is_root:
            return _parts(opened(path, job.compression_type))
        sent = filtered(whole(), job.input_filter, job.format)
        return iter([sent]) if content is None else sent

    return Payload(body, lambda: iter([whole()]), 1)


def _parts(stream: BinaryIO) -> Iterator[bytes]:
    with closing(stream):
        while part := stream.read(_PART):
            yield part


def _stream(path: Path, job: TransformJob) -> Iterator[bytes]:
    """All records of a file as one body of any length."""
    if job.input_filter.is_root:
        return _parts(opened(path, job.compression_type))
    return (_filtered(content, job, number) for number, content in enumerate(_contents(path, job), 1))


def _filtered(record: bytes, job: TransformJob, number: int) -> bytes:
    """A line of what is sent of a record; `number` counts from 1."""
    try:
        return filtered(record, job.input_filter, job.format) + b"\n"
    except ProcessingError as error:
        raise ProcessingError(f"record {number}: {error}") from None


def _contents(path: Path, job: TransformJob) -> Iterator[bytes]:
    with opened(path, job.compression_type) as stream:
        for record in split(stream, job.split_type, 0):
            yield record.content
