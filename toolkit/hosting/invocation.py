"""One request to an endpoint, as the runtime API takes it and as a container gets it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from typing import Protocol

from toolkit.errors import ToolkitError
from toolkit.hosting.api_errors import validation_error
from toolkit.serving.http_client import OpenAnswer

_PREFIX = "x-amzn-sagemaker-"
TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"
# What reaches the container; all other headers of the client are stripped (HOST-34, HOST-60).
_HANDED_ON = {
    "content-type": "Content-Type",
    "accept": "Accept",
    f"{_PREFIX}custom-attributes": "X-Amzn-SageMaker-Custom-Attributes",
    f"{_PREFIX}inference-id": "X-Amzn-SageMaker-Inference-Id",
    f"{_PREFIX}session-id": "X-Amzn-SageMaker-Session-Id",
    f"{_PREFIX}target-model": TARGET_MODEL,
}
# As the API's model has them: pattern, and longest.
_SHAPES = {
    "content-type": (r"[\x20-\x7e]*", 1024),
    "accept": (r"[\x20-\x7e]*", 1024),
    f"{_PREFIX}custom-attributes": (r"[\x20-\x7e]*", 1024),  # HOST-59
    f"{_PREFIX}inference-id": (r"[\x20-\x7e]+", 64),  # HOST-60
    f"{_PREFIX}session-id": (r"(NEW_SESSION)|[a-zA-Z0-9](-*[a-zA-Z0-9])*", 256),  # HOST-104
    f"{_PREFIX}target-model": (r"\S+", 1024),
    f"{_PREFIX}target-container-hostname": (r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", 63),
}
# Response headers that the API hands back (HOST-53, HOST-59, HOST-103).
RETURNED = (
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-New-Session-Id",
    "X-Amzn-SageMaker-Closed-Session-Id",
)


@dataclass(frozen=True)
class Invocation:
    """What a client sent.

    Attributes:
        body: the payload.
        headers: what the containers get.
        target_model: of a multi-model endpoint; empty for none.
        target_container: of an endpoint in direct mode; empty for none (PIPE-07).
    """

    body: bytes
    headers: Mapping[str, str]
    target_model: str = ""
    target_container: str = ""


def read_invocation(headers: Mapping[str, str], body: bytes) -> Invocation:
    """The invocation that a request to the runtime API means.

    Args:
        headers: of the request, names in lower case.
        body: of the request.

    Raises:
        ApiError: a header breaks the constraints of the API.
    """
    for name, (pattern, longest) in _SHAPES.items():
        value = headers.get(name, "")
        if value and (len(value) > longest or not re.fullmatch(pattern, value)):
            raise validation_error(
                f"Value '{value[:80]}' at '{name}' failed to satisfy constraint: at "
                f"most {longest} characters of the pattern {pattern}"
            )
    # The call with a response stream names its Accept otherwise.
    accept = headers.get(f"{_PREFIX}accept") or headers.get("accept")
    given = {**headers, **({"accept": accept} if accept else {})}
    return Invocation(
        body,
        {theirs: given[name] for name, theirs in _HANDED_ON.items() if given.get(name)},
        headers.get(f"{_PREFIX}target-model", ""),
        headers.get(f"{_PREFIX}target-container-hostname", ""),
    )


class NoAnswerError(Exception):
    """A container gave no answer.

    Args:
        container: its host name.
        cause: the error that ended the exchange; a TimeoutError where the time was over.
    """

    def __init__(self, container: str, cause: Exception) -> None:
        is_cut = isinstance(cause, IncompleteRead)
        what = "broke its answer off" if is_cut else f"gave no answer: {str(cause) or type(cause).__name__}"
        super().__init__(f"{container} {what}")
        self.container = container
        self.is_late = isinstance(cause, TimeoutError)


@dataclass(frozen=True)
class Routed:
    """The answer of a container to an invocation.

    Attributes:
        answer: head and body; errors too.
        container: the host name of the container that gave it.
    """

    answer: OpenAnswer
    container: str

    def parts(self) -> Iterator[bytes]:
        """The body as it comes.

        Raises:
            NoAnswerError: the rest did not come in time, or the connection broke.
        """
        try:
            yield from self.answer.parts()
        except (OSError, HTTPException, ToolkitError) as error:
            raise NoAnswerError(self.container, error) from error

    def read(self) -> bytes:
        """The whole body.

        Raises:
            NoAnswerError: as `parts`.
        """
        return b"".join(self.parts())


class Route(Protocol):
    """The way from an invocation to the container that answers it."""

    def answer(self, invocation: Invocation, limit: float) -> AbstractContextManager[Routed]:
        """Ask for the answer, which must have come in `limit` seconds.

        Raises:
            ApiError: no container can be asked, or one of those asked before the last failed.
            NoAnswerError: the container gave none.
        """
