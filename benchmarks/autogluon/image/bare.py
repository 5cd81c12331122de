"""The predictor alone, in a loop: milliseconds of `predict` for each number of rows, as JSON.

Usage, in the container: python bare.py ROUNDS BYTES, and as many bytes of CSV as standard input
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import time

import pandas as pd
from server import MODEL


def main(rounds: int, size_of_input: int) -> None:
    """Measure and print."""
    rows = pd.read_csv(
        io.BytesIO(sys.stdin.buffer.read(size_of_input)), header=None, names=MODEL.original_features
    )
    found = {}
    for size in (1, len(rows)):
        seconds = []
        for number in range(rounds + 1):
            part = rows.iloc[[number % len(rows)]] if size == 1 else rows
            began = time.perf_counter()
            MODEL.predict(part)
            seconds.append(time.perf_counter() - began)
        found[size] = 1000 * statistics.median(seconds[1:])
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
