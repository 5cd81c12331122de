"""Sends requests to the container, with time limit, retries and back-off (BATCH-08, BATCH-10)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from tempfile import SpooledTemporaryFile

from toolkit.errors import ToolkitError
from toolkit.serving.model_server import ModelServer

USER_AGENT = "Go-http-client/1.1"  # BATCH-21
FIRST_PAUSE = 1.0  # seconds before the second try; each further one waits twice as long
_IN_MEMORY = 8 << 20  # bytes of an answer that are not put on disk
_SHOWN = 500  # characters of an error of the container

Answer = SpooledTemporaryFile[bytes]


class RequestError(Exception):
    """A request failed, also after its retries."""


class Sender:
    """Counts and times what it sends; may be used from many threads.

    Args:
        server: the container.
        headers: of each request.
        timeout: seconds for one answer.
        max_retries: further tries of a request.
        say: receives why one is tried again, in many threads.
        first_pause: seconds before the second try.
    """

    def __init__(
        self,
        server: ModelServer,
        headers: Mapping[str, str],
        timeout: float,
        max_retries: int,
        say: Callable[[str], None],
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._server = server
        self._headers = {"User-Agent": USER_AGENT, **headers}
        self._timeout = timeout
        self._max_retries = max_retries
        self._say = say
        self._first_pause = first_pause
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self.seconds: list[float] = []  # of each answered request, its last try
        self.retries = 0

    def cancel(self) -> None:
        """Nothing is tried again."""
        self._cancelled.set()

    def send(self, body: Callable[[], bytes | Iterator[bytes]]) -> Answer:
        """The answer to one request, of status 2xx, from its start.

        Raises:
            RequestError: the container refuses, or does not answer, also after the last try.
        """
        pause, failure = self._first_pause, ""
        for attempt in range(self._max_retries + 1):
            if attempt:
                with self._lock:
                    self.retries += 1
                self._say(f"in {pause:g} s: {failure}")
                if self._cancelled.wait(pause):
                    break
                pause *= 2
            began = time.monotonic()
            answer, failure = self._try(body())
            if answer:
                with self._lock:
                    self.seconds.append(time.monotonic() - began)
                return answer
            if self._cancelled.is_set():
                break
        tries = f", {attempt + 1} times" if attempt else ""
        raise RequestError(f"{failure}{tries}")

    def _try(self, body: bytes | Iterator[bytes]) -> tuple[Answer | None, str]:
        """The answer, or what went wrong."""
        try:
            with self._server.open("POST", "/invocations", self._headers, body, self._timeout) as answer:
                if not 200 <= answer.status < 300:
                    text = answer.read().decode(errors="replace").strip()
                    return None, f"the container answered {answer.status}: {text[:_SHOWN]}"
                kept: Answer = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the caller reads it
                for part in answer.parts():
                    kept.write(part)
                kept.seek(0)
                return kept, ""
        except TimeoutError:
            return None, f"the container gave no answer within {self._timeout:g} s"
        except (OSError, HTTPException, ToolkitError) as error:
            return None, f"the container gave no answer: {str(error) or type(error).__name__}"
