"""What came of a transform job: each file, and the sums."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.artifacts import readable_size
from toolkit.hosting.request_log import percentile


@dataclass
class FileResult:
    """One input file.

    Attributes:
        name: relative to the input.
        output: the `.out` file; None where the file failed.
        cause: why it failed.
        records: that were answered; 0 where records are not told apart.
        requests: that were sent.
        bytes_in, bytes_out: sizes.
    """

    name: str
    output: Path | None = None
    cause: str = ""
    records: int = 0
    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def line(self) -> str:
        """As it stands in the terminal."""
        if self.cause:
            return f"  failed  {self.name}: {self.cause}"
        records = f"{_count(self.records, 'record')}, " if self.records else ""
        sizes = f"{readable_size(self.bytes_in)} -> {readable_size(self.bytes_out)}"
        return f"  done    {self.name}: {records}{_count(self.requests, 'request')}, {sizes}"


@dataclass
class TransformResult:
    """The whole job.

    Attributes:
        files: in their order.
        elapsed: seconds, without the start of the container.
        started_in: seconds until it was healthy.
        seconds: of each request.
        retries: of all requests.
    """

    files: list[FileResult] = field(default_factory=list)
    elapsed: float = 0.0
    started_in: float = 0.0
    seconds: Sequence[float] = ()
    retries: int = 0

    @property
    def failed(self) -> list[FileResult]:
        """Files without an output."""
        return [file for file in self.files if file.cause]

    def summary(self) -> str:
        """For people: a few lines."""
        done = len(self.files) - len(self.failed)
        rows = {
            "files": f"{done} done, {len(self.failed)} failed",
            "records": str(sum(file.records for file in self.files)),
            "input": readable_size(sum(file.bytes_in for file in self.files)),
            "output": readable_size(sum(file.bytes_out for file in self.files)),
            "requests": f"{len(self.seconds)} answered, {self.retries} tried again",
            "latency": self._latency(),
            "time": f"{self.elapsed:.1f} s, after {self.started_in:.1f} s for the start",
        }
        if any(file.requests and not file.records for file in self.files):
            del rows["records"]  # not counted in files that were sent as they were read
        return "\n".join(f"  {name:<10}{value}" for name, value in rows.items())

    def _latency(self) -> str:
        if not self.seconds:
            return "none"
        ordered = sorted(self.seconds)
        shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        return ", ".join(
            f"{name} {percentile(ordered, share) * 1e3:.1f} ms" for name, share in shares.items()
        )

    def as_json(self) -> str:
        """For programs."""
        files = [
            {
                "name": file.name,
                "output": str(file.output) if file.output else None,
                "failure": file.cause or None,
                "records": file.records,
                "requests": file.requests,
                "bytes_in": file.bytes_in,
                "bytes_out": file.bytes_out,
            }
            for file in self.files
        ]
        status = "Failed" if self.failed else "Completed"
        document = {"TransformJobStatus": status, "files": files, "seconds": round(self.elapsed, 3)}
        return json.dumps({**document, "retries": self.retries}, indent=2)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
