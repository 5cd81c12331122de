"""Our `serve` beside the servers that people use today, in one run and in turn.

Usage: .venv/bin/python -m benchmarks.serving [--peers native,mms] [--rounds 3] [--seconds 2] [--quick]

README.md beside this file says what is measured, and holds the last table.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from benchmarks.serving.environments import PLACE
from benchmarks.serving.measure import Case, visit_in_turn
from benchmarks.serving.model import LARGE_ROWS
from benchmarks.serving.peers import PEERS
from benchmarks.serving.report import write_report

_CASES = [Case(rows, connections) for rows in (1, LARGE_ROWS) for connections in (1, 8, 64)]
_QUICK_CASES = [Case(1, 1), Case(1, 64), Case(LARGE_ROWS, 8)]


def main() -> int:
    """Measure, write table and plot, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", help=f"some of: {','.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=3, help="visits to each peer (default: 3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load (default: 2)")
    parser.add_argument("--quick", action="store_true", help="one round of one second, three kinds of load")
    parser.add_argument("--output", type=Path, default=PLACE / "results", help="folder for table and plot")
    arguments = parser.parse_args()
    names = arguments.peers.split(",") if arguments.peers else list(PEERS)
    unknown = [name for name in names if name not in PEERS]
    missing = [program for program in ("wrk", "nginx") if not shutil.which(program)]
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}. There are: {', '.join(PEERS)}.")
    if missing:
        parser.error(f"{' and '.join(missing)} not found.\n  apt-get install wrk nginx-light")
    rounds, seconds, cases = arguments.rounds, arguments.seconds, _CASES
    if arguments.quick:
        rounds, seconds, cases = 1, 1.0, _QUICK_CASES
    visits, loops = visit_in_turn(names, rounds, cases, seconds)
    arguments.output.mkdir(parents=True, exist_ok=True)
    print(write_report(visits, loops, cases, arguments.output, f"{rounds} rounds of {seconds:g} s"))
    return 0 if all(visits.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
