"""`make fuzz`: the fuzz tests with many examples, then the coverage-guided targets.

Exits with 1 where anything was found; what was found, and how it is tried again, stands above.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time

from tests.fuzz.workplace import ROOT, Workplace

TARGETS = ("bodies", "readers")
SHARES = 9
"""Of FUZZ_EXAMPLES, which the fuzz tests together try: half for each of nine media types, one for each of two
handlers, half for joined requests, and one connection for each of two servers."""
LONGEST = 4096
"""Bytes of an input."""

_PROGRESS = re.compile(r"#\d+\s+(?:INITED|pulse|DONE) ")
_COVERAGE = re.compile(r"#(\d+)\s.*\bcov: (\d+) ft: (\d+) corp: (\d+)/")


def main() -> int:
    """Run all of it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000, help="of the fuzz tests together (100000)")
    parser.add_argument("--runs", type=int, default=200_000, help="of each coverage-guided target (200000)")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one, without the tests")
    arguments = parser.parse_args()
    found = 0
    if arguments.target is None and arguments.examples:
        found += not _try_examples(arguments.examples)
    for target in arguments.target or TARGETS:
        if arguments.runs:
            found += not _guide(target, arguments.runs)
    return int(found > 0)


def _try_examples(count: int) -> bool:
    """True where the fuzz tests pass."""
    environment = {**os.environ, "FUZZ_EXAMPLES": str(-(-count // SHARES))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=3", "tests/fuzz"]
    start = time.monotonic()
    print(f"{count} examples ...", flush=True)
    result = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    passed = "nothing found" if result.returncode == 0 else "see above"
    print(f"{count} examples in {time.monotonic() - start:.0f} s: {passed}.", flush=True)
    return result.returncode == 0


def _guide(target: str, runs: int) -> bool:
    """True where a target finds nothing."""
    place = Workplace(target)
    before = set(place.findings.iterdir())
    command = [sys.executable, "-m", "tests.fuzz.guided", target]
    options = [f"-atheris_runs={runs}", f"-max_len={LONGEST}", "-len_control=0"]
    start = time.monotonic()
    reached = None
    print(f"{target}: {runs} runs ...", flush=True)
    with (
        place.log.open("w") as log,
        subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "entrypoints")},
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            reached = _COVERAGE.match(line) or reached
            if _PROGRESS.match(line):
                print(f"  {line.rstrip()}", flush=True)
    seconds = time.monotonic() - start
    if process.returncode == 0 and reached is not None:
        _, edges, features, inputs = reached.groups()
        what = f"{edges} edges, {features} features, {inputs} inputs that reach them"
        print(f"{target}: {runs} runs in {seconds:.0f} s, {what}: nothing found.", flush=True)
        return True
    print(place.log.read_text(errors="replace")[-6000:])
    for path in sorted(set(place.findings.iterdir()) - before):
        again = f"PYTHONPATH=entrypoints {' '.join(command)} {path}"
        print(f"{target}: found {path}. Again:\n  {again}", flush=True)
    print(f"{target}: ended with code {process.returncode} after {seconds:.0f} s; {place.log}", flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
