"""One coverage-guided fuzz target: `python -m tests.fuzz.guided TARGET [FILE ...] [libFuzzer's options]`.

A FILE is tried once; so a finding is tried again. A target is a module `target_NAME` with

- `attempt(data)`, which raises where the input finds something,
- `SEEDS`, sound inputs, and `WORDS`, what inputs are made of,
- and, where changed bytes would be refused before they matter, `mutate(data, size, seed, change)`.

A finding is also a traceback in the log, and an input that takes more than `MOST_SECONDS`.
"""

from __future__ import annotations

import importlib
import io
import sys
import time
from contextlib import redirect_stderr
from types import ModuleType

import atheris

from tests.fuzz.workplace import Workplace

MOST_SECONDS = 1.0
"""CPU time for one input, instrumented as it is; a usual one takes less than a thousandth."""


def attempt(target: ModuleType, data: bytes) -> None:
    """Try one input.

    Raises:
        AssertionError: it finds something.
    """
    log = io.StringIO()
    start = time.process_time()
    with redirect_stderr(log):
        target.attempt(data)
    seconds = time.process_time() - start
    assert "Traceback" not in log.getvalue(), log.getvalue()
    assert seconds < MOST_SECONDS, f"{len(data)} bytes took {seconds:.1f} s"


def main(name: str, options: list[str]) -> None:
    """Fuzz one target; does not return."""
    with atheris.instrument_imports(include=["opt_ml"]):
        target = importlib.import_module(f"tests.fuzz.target_{name}")
    place = Workplace(name)
    if all(option.startswith("-") for option in options):
        place.write(target.SEEDS, target.WORDS)
        options += [str(place.corpus), str(place.seeds)]
        options += [f"-dict={place.words}", f"-artifact_prefix={place.findings}/"]
    further = {}
    if hasattr(target, "mutate"):
        further["custom_mutator"] = lambda data, size, seed: target.mutate(data, size, seed, atheris.Mutate)
    atheris.Setup([sys.argv[0], *options], lambda data: attempt(target, data), **further)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
