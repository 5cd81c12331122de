"""Makes the output of a request: as it came, or each result filtered and joined with its record."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import BinaryIO

from toolkit.transform.payloads import Payload
from toolkit.transform.processing import ProcessingError, filtered, joined
from toolkit.transform.settings import TransformJob

_PART = 1 << 20
_MISSING = object()


def assembled(payload: Payload, answer: BinaryIO, job: TransformJob) -> Iterator[bytes]:
    """The parts of the output of one request.

    Args:
        payload: the request.
        answer: the container's, from its start.
        job: says what is kept.

    Raises:
        ProcessingError: results cannot be read, or are not one for each record (BATCH-13).
    """
    if job.join_source == "Input":
        yield from _joined(payload, answer, job)
    elif not job.output_filter.is_root:
        for result in _results(payload, answer, job):
            yield filtered(result, job.output_filter, job.format) + b"\n"
    else:
        last = b""
        while part := answer.read(_PART):
            yield part
            last = part
        # BATCH-14: a newline a response; one that the container has written already is not doubled.
        if job.assemble_with == "Line" and not last.endswith(b"\n"):
            yield b"\n"


def _joined(payload: Payload, answer: BinaryIO, job: TransformJob) -> Iterator[bytes]:
    end = b"\n" if "Line" in (job.assemble_with, job.split_type) else b""
    pairs = zip_longest(payload.inputs(), _results(payload, answer, job), fillvalue=_MISSING)
    for count, (record, result) in enumerate(pairs):
        if not (isinstance(record, bytes) and isinstance(result, bytes)):
            side = "fewer" if isinstance(record, bytes) else "more"
            raise ProcessingError(
                f"the container gave {side} results than the request has records ({count} fit): a join needs "
                "exactly one result a record, in order. A header counts as a record"
            )
        yield joined(record, result, job.output_filter, job.format) + end


def _results(payload: Payload, answer: BinaryIO, job: TransformJob) -> Iterator[bytes]:
    """One for each record: lines, or the whole answer where the request is one JSON document."""
    if job.format == "json" or (job.format == "jsonlines" and payload.records == 1):
        yield answer.read().strip()
        return
    for line in answer:
        if line.strip():
            yield line.rstrip(b"\r\n")
