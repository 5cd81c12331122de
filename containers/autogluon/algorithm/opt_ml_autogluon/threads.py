"""How many CPUs a worker of the server has for a prediction."""

from __future__ import annotations

import os


def of_worker() -> int:
    """The worker's share of the CPUs, which the server says by OMP_NUM_THREADS; 1 where nobody says."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return int(threads) if threads.isdigit() and int(threads) else 1
