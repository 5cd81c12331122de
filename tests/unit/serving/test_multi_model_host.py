"""A shared process by itself: what it says, and in which order."""

from __future__ import annotations

import socket
import threading

from opt_ml.serving.answers import Answer
from opt_ml.serving.multi_model.host import Host
from opt_ml.serving.workers import frames

from tests.unit.serving.conftest import PATIENCE


class Late:
    """A model whose answers all come late."""

    def __init__(self) -> None:
        self.answered = threading.Event()

    def answer(self, requests):
        return [None] * len(requests)

    def answer_natively(self, requests):
        self.answered.set()
        return [Answer(200, "text/plain", b"late")] * len(requests)


class Slow:
    """A model that is busy until the other has answered, or for a while."""

    def __init__(self, other: Late) -> None:
        self._other = other

    def answer(self, requests):
        self._other.answered.wait(0.3)
        return [Answer(200, "text/plain", b"now")] * len(requests)


def test_an_answer_that_comes_late_comes_after_the_word_that_it_will():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(PATIENCE)
        host = Host(theirs)
        late = Late()
        host._models.update({1: late, 2: Slow(late)})
        threading.Thread(target=host.run, daemon=True).start()
        request = ["text/plain", None, 1, None]
        frames.send(ours, {"call": 7, "groups": [[1, [request]], [2, [request]]]}, b"ab")
        reader = frames.FrameReader(ours)
        events = [reader.next()[0]["event"] for _ in range(3)]
    assert events == ["ready", "answers", "late"]
