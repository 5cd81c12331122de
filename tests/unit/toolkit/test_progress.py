"""What a push says of a large layer on its way."""

from __future__ import annotations

import io

from toolkit.registry.progress import INTERVAL, WatchedStream


def test_a_stream_tells_its_part_now_and_then_and_begins_anew_when_it_is_sent_again():
    told, hours = [], iter([0, 1, INTERVAL, INTERVAL + 1, 3 * INTERVAL, 4 * INTERVAL])
    stream = WatchedStream(io.BytesIO(b"12345678"), 8, told.append, clock=lambda: next(hours))
    assert len(stream) == 8
    assert stream.read(2) == b"12"
    assert stream.read(2) == b"34"  # after the interval
    assert stream.read(2) == b"56"  # too soon for another word
    stream.seek(0)
    assert stream.read(2) == b"12"
    assert stream.read(6) == b"345678"  # all of it: the push itself says so
    assert told == [0.5, 0.25]
