"""The limit that the libraries set: parse, predict and write in a loop, without any server, on one thread.

Usage: bare_loop.py MODEL_DIR BODIES SECONDS, where BODIES is a JSON list of CSV bodies. Prints JSON:
`predict` and `all` are calls a second of the prediction alone, and with parsing and writing.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ensemble


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls a second."""
    call()
    began = time.perf_counter()
    for count in itertools.count(1):
        call()
        elapsed = time.perf_counter() - began
        if elapsed >= seconds:
            return count / elapsed
    raise AssertionError


if __name__ == "__main__":
    models = ensemble.load(sys.argv[1])
    bodies = itertools.cycle(json.loads(Path(sys.argv[2]).read_text()))
    parsed = itertools.cycle([ensemble.parse(next(bodies)) for _ in range(20)])
    print(
        json.dumps(
            {
                "predict": rate(lambda: ensemble.predict(next(parsed), models), float(sys.argv[3])),
                "all": rate(
                    lambda: ensemble.write(ensemble.predict(ensemble.parse(next(bodies)), models)),
                    float(sys.argv[3]),
                ),
            }
        )
    )
