"""Frames between the front and a worker, however the stream is cut."""

from __future__ import annotations

import socket
import threading
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from opt_ml.serving import frames

HEADERS = st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=20), max_size=3)
FRAMES = st.lists(st.tuples(HEADERS, st.binary(max_size=60)), max_size=5)


@given(FRAMES, st.lists(st.integers(0, 200), max_size=8))
def test_frames_come_out_as_they_went_in_wherever_the_stream_is_cut(sent, cuts):
    stream = b"".join(frames.head(header, len(body)) + body for header, body in sent)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    buffer = frames.FrameBuffer()
    received = []
    for start, end in pairwise(edges):
        if start < end:
            received += buffer.feed(stream[start:end])
    assert received == sent


def test_a_large_frame_crosses_a_socket_pair():
    ours, theirs = socket.socketpair()
    body = bytes(range(256)) * 40_000
    sender = threading.Thread(target=frames.send, args=(ours, {"a": 1}, body))
    with ours, theirs:
        sender.start()
        assert next(frames.receive(theirs)) == ({"a": 1}, body)
        sender.join()
        ours.shutdown(socket.SHUT_WR)
        assert list(frames.receive(theirs)) == []
