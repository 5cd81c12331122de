"""Frames between the front and a worker, however the stream is cut."""

from __future__ import annotations

import socket
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.serving.workers import frames

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
        reader = frames.FrameReader(theirs)
        assert reader.next() == ({"a": 1}, body)
        sender.join()
        with pytest.raises(BlockingIOError):
            reader.next(is_patient=False)
        ours.shutdown(socket.SHUT_WR)
        assert reader.next() is None


@pytest.mark.parametrize("stream", [b"print to descriptor 3\n", b"\0\0\0\4" + bytes(8) + b"oops"])
def test_what_is_no_frame_is_noticed(stream):
    with pytest.raises(frames.FrameError):
        list(frames.FrameBuffer().feed(stream))
