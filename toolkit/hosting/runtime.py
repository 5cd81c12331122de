"""One endpoint of the SageMaker runtime API: what it refuses, how long it waits, how it wraps errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from toolkit.hosting.api_errors import (
    ApiError,
    model_error,
    throttled,
    timed_out,
    too_large,
    validation_error,
)
from toolkit.hosting.invocation import NoAnswerError, Route, Routed, read_invocation
from toolkit.hosting.limits import Limits


class Runtime:
    """An endpoint behind its API.

    Args:
        name: of the endpoint.
        route: to its containers.
        limits: of its kind.
    """

    def __init__(self, name: str, route: Route, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self._route = route
        self._free = threading.Semaphore(limits.concurrency) if limits.concurrency else None

    def check_name(self, name: str) -> None:
        """Only this endpoint is here.

        Raises:
            ApiError: ValidationError for another name.
        """
        if name != self.name:
            raise validation_error(
                f"Endpoint {name} of account 000000000000 not found. This address has the endpoint "
                f"{self.name}; --name gives it another name."
            )

    def check_size(self, size: int) -> None:
        """A payload of `size` bytes is not above the limit (HOST-51, HOST-91).

        Raises:
            ApiError: HTTP 413.
        """
        if size > self.limits.payload:
            raise too_large(self.limits.payload)

    @contextmanager
    def answer(self, headers: Mapping[str, str], body: bytes, limit: float) -> Iterator[Routed]:
        """The answer of the container, also where it is an error.

        Args:
            headers: of the request to the API, names in lower case.
            body: the payload.
            limit: seconds in which head and body of the answer must have come.

        Raises:
            ApiError: the API or the container refuses, or the container gives no answer.
        """
        invocation = read_invocation(headers, body)
        self.check_size(len(body))
        if self._free and not self._free.acquire(blocking=False):
            raise throttled()
        try:
            with self._route.answer(invocation, limit) as routed:
                yield routed
        except NoAnswerError as error:
            raise self.no_answer(error) from error
        finally:
            if self._free:
                self._free.release()

    def no_answer(self, error: NoAnswerError) -> ApiError:
        """What the client sees of a container that was late or broke off."""
        if error.is_late:
            return timed_out(self.name, error.container)
        return model_error(self.name, error.container, 0, str(error))

    @contextmanager
    def stream(self, headers: Mapping[str, str], body: bytes) -> Iterator[Routed]:
        """InvokeEndpointWithResponseStream: an answer of status 2xx, whose parts come as they are made.

        Raises:
            ApiError: as `answer`; also for a container that answers with an error (HOST-54).
        """
        if headers.get("x-amzn-sagemaker-session-id") == "NEW_SESSION":  # HOST-104
            raise validation_error("A session cannot be created by InvokeEndpointWithResponseStream.")
        with self.answer(headers, body, self.limits.stream) as routed:
            if not 200 <= routed.answer.status < 300:
                raise self.wrapped(routed)
            yield routed

    @contextmanager
    def invoke(self, headers: Mapping[str, str], body: bytes) -> Iterator[tuple[Routed, bytes]]:
        """InvokeEndpoint: an answer of status 2xx, and its whole body.

        Raises:
            ApiError: as `stream`.
        """
        with self.answer(headers, body, self.limits.invocation) as routed:
            if not 200 <= routed.answer.status < 300:
                raise self.wrapped(routed)
            yield routed, routed.read()

    def wrapped(self, routed: Routed) -> ApiError:
        """The ModelError of a container's own error (HOST-54)."""
        text = routed.read().decode(errors="replace")
        return model_error(self.name, routed.container, routed.answer.status, text)
