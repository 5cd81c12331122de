"""One call many times: how long the answers take."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from toolkit.hosting.api_errors import ApiError
from toolkit.hosting.client import Call, EndpointClient
from toolkit.hosting.request_log import latency_table, percentile


@dataclass
class Measured:
    """What came of the calls.

    Attributes:
        elapsed: seconds for all of them.
        seconds: of each call, by what it ended with: `200`, or the error's name and status.
        causes: how often each message of an error came.
    """

    elapsed: float = 0.0
    seconds: dict[tuple[str, ...], list[float]] = field(default_factory=lambda: defaultdict(list))
    causes: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Number of calls that ended with an error."""
        return self.causes.total()

    @property
    def rate(self) -> float:
        """Calls a second."""
        return sum(map(len, self.seconds.values())) / self.elapsed

    def table(self) -> str:
        """For people."""
        lines = [latency_table(("status",), self.seconds), f"{self.rate:.0f} requests a second"]
        return "\n".join(
            [*lines, *(f"{count} times: {cause}" for cause, count in self.causes.most_common(3))]
        )

    def as_json(self) -> str:
        """For programs; times in milliseconds."""
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
        statuses = {
            key[0]: {
                "count": len(seconds),
                **{
                    name: round(percentile(sorted(seconds), share) * 1e3, 3) for name, share in shares.items()
                },
            }
            for key, seconds in self.seconds.items()
        }
        return json.dumps({"requests_per_second": round(self.rate, 1), "statuses": statuses}, indent=2)


def repeat(client: EndpointClient, call: Call, times: int, concurrency: int) -> Measured:
    """Send `call` as often as `times` says, `concurrency` at once; errors of the API are counted.

    Ctrl-C, or an endpoint that goes, ends it: what has not been sent is not sent any more.
    """
    measured = Measured()
    left, lock = times, threading.Lock()

    def send_all() -> None:
        nonlocal left
        while True:
            with lock:
                if left <= 0:
                    return
                left -= 1
            status, seconds, cause = _send(client, call)
            with lock:
                measured.seconds[(status,)].append(seconds)
                if cause:
                    measured.causes[cause] += 1

    began = time.monotonic()
    threads = ThreadPoolExecutor(concurrency, thread_name_prefix="repeat")
    try:
        for sender in [threads.submit(send_all) for _ in range(concurrency)]:
            sender.result()
    finally:
        with lock:
            left = 0
        threads.shutdown(wait=False)
    measured.elapsed = time.monotonic() - began
    return measured


def _send(client: EndpointClient, call: Call) -> tuple[str, float, str]:
    """What the call ended with, its seconds, and the message of its error."""
    began = time.monotonic()
    try:
        status, cause = str(client.invoke(call).status), ""
    except ApiError as error:
        status, cause = f"{error.code} {error.status}".strip(), error.summary
    return status, time.monotonic() - began, cause
