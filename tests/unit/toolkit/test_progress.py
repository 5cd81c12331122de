"""What a push says of a large layer on its way."""

from __future__ import annotations

import io

from toolkit.registry.progress import INTERVAL, watched


def test_a_stream_tells_its_part_now_and_then_and_begins_anew_when_it_is_sent_again():
    told: list[float] = []
    seconds = iter([0, 1, INTERVAL, INTERVAL + 1, 3 * INTERVAL, 4 * INTERVAL])
    stream = watched(io.BytesIO(bytes(4 * MB)), 4 * MB, told.append, clock=lambda: next(seconds))
    for _ in range(3):  # too soon for a word, after the interval, too soon for another
        assert stream.read(MB) == bytes(MB)
    stream.seek(0)
    assert stream.read(MB) == bytes(MB)
    assert stream.read(3 * MB) == bytes(3 * MB)  # all of it: the push itself says so
    assert told == [0.5, 0.25]


MB = 1 << 20  # more than a buffer, so that each read is one of the stream
