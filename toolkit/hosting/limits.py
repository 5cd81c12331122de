"""What the platform allows one endpoint, by its kind."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.errors import ToolkitError

MB = 1 << 20  # as the API counts: its "6 MB" is 6291456 bytes

_VALID_MEMORY = range(1024, 6144 + 1, 1024)  # HOST-90
_MEMORY_OF_A_CPU = 1769  # MB; AWS Lambda documents it of its functions, SageMaker says only that CPU follows
_MOST_CONCURRENCY = 200  # HOST-90

# HOST-10
VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MOST_VARIABLES, _LONGEST_VARIABLE, _ALL_VARIABLES = 100, 1024, 32 << 10


@dataclass(frozen=True)
class Limits:
    """What holds for every request, and for the start.

    Attributes:
        start: seconds until /ping must be 200.
        invocation: seconds for one answer.
        stream: seconds for one answer that is streamed.
        payload: bytes of one request.
        certain_payload: bytes above which the documents disagree, and a warning is printed.
        concurrency: requests at once, more are throttled; None for no such limit.
    """

    start: float = 480.0  # HOST-41
    invocation: float = 60.0  # HOST-50
    stream: float = 480.0  # HOST-66
    payload: int = 25 * MB  # HOST-51
    certain_payload: int = 6 * MB
    concurrency: int | None = None


REAL_TIME = Limits()


@dataclass(frozen=True)
class Serverless:
    """A serverless endpoint (HOST-90).

    Attributes:
        memory_mb: 1024 to 6144, in steps of 1024.
        max_concurrency: 1 to 200; 5 is the default of the SageMaker SDK.

    Raises:
        ToolkitError: a value that CreateEndpointConfig refuses.
    """

    memory_mb: int
    max_concurrency: int = 5

    def __post_init__(self) -> None:
        if self.memory_mb not in _VALID_MEMORY:
            raise ToolkitError(
                f"--serverless {self.memory_mb}: a serverless endpoint has 1024 to 6144 MB in steps of 1024.",
                "Use one of " + ", ".join(map(str, _VALID_MEMORY)) + ".",
            )
        if not 1 <= self.max_concurrency <= _MOST_CONCURRENCY:
            raise ToolkitError(
                f"--max-concurrency {self.max_concurrency}: a serverless endpoint takes 1 to 200 at once."
            )

    @property
    def limits(self) -> Limits:
        """4 MB a request (HOST-91), and 3 minutes for the start (HOST-47)."""
        return Limits(start=180.0, payload=4 * MB, certain_payload=4 * MB, concurrency=self.max_concurrency)

    @property
    def memory(self) -> int:
        """Bytes."""
        return self.memory_mb * MB

    @property
    def cpus(self) -> float:
        """CPUs, an estimate; no more than this machine has."""
        return min(round(self.memory_mb / _MEMORY_OF_A_CPU, 2), float(os.cpu_count() or 1))


def check_environments(environments: Sequence[Mapping[str, str]]) -> None:
    """CreateModel takes these variables, one mapping a container (HOST-10).

    Raises:
        ToolkitError: it refuses one; names it.
    """
    for environment in environments:
        if len(environment) > _MOST_VARIABLES:
            raise ToolkitError(
                f"--environment: {len(environment)} variables; SageMaker takes {_MOST_VARIABLES}."
            )
        for name, value in environment.items():
            if not VARIABLE.fullmatch(name):
                raise ToolkitError(
                    f"--environment {name}: SageMaker refuses the name.",
                    "A name has letters, digits and underscores, and no digit at its start.",
                )
            if max(len(name), len(value)) > _LONGEST_VARIABLE:
                raise ToolkitError(
                    f"--environment {name[:40]}: SageMaker takes {_LONGEST_VARIABLE} characters."
                )
    sizes = (len(f"{name}{value}".encode()) for each in environments for name, value in each.items())
    if (size := sum(sizes)) > _ALL_VARIABLES:
        raise ToolkitError(f"--environment: {size} bytes together; SageMaker takes 32 KB.")
