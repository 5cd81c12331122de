"""`make zoo`: each image of the zoo through the suite, with a line for each as it ends."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import uuid
from concurrent.futures import as_completed
from pathlib import Path

from tests.integration import tiny_image
from tests.zoo import matrix, sound
from tests.zoo.entries import Entry, zoo
from toolkit.interrupts import end_at_the_first
from toolkit.machine.containers import RUN_VARIABLE, engine


def main() -> int:
    """The exit code: 0 where everything was found as zoo.toml says it, 1 where not."""
    parser = argparse.ArgumentParser(prog="make zoo", description="Break each rule, and see its tests fail.")
    parser.add_argument("names", nargs="*", help="of images or rules, such as one-answer or HOST-52")
    names = set(parser.parse_args().names)
    asked = [entry for entry in zoo().entries if not names or names & {entry.name, entry.rule}]
    if unknown := names - {name for entry in asked for name in (entry.name, entry.rule)}:
        parser.error(f"no image is called {', '.join(sorted(unknown))}, and none breaks such a rule.")
    began = time.monotonic()
    print(f"{len(asked)} images, {matrix.WORKERS} at one time.", flush=True)
    wrong = run(asked)
    seconds = time.monotonic() - began
    print(
        f"{len(asked) - wrong} of {len(asked)} images fail the tests of their rule alone, in {seconds:.0f} s."
    )
    return 1 if wrong else 0


def run(asked: list[Entry]) -> int:
    """How many images are not as zoo.toml says."""
    wrong = 0
    with (
        tempfile.TemporaryDirectory(prefix="opt-ml-zoo-") as directory,
        tiny_image.tiny(),
        sound.profiles(Path(directory), (entry.base for entry in asked)) as profiles,
    ):
        os.environ["TMPDIR"] = directory  # of the processes that may be killed
        for failure in sound.failures_of_kit(
            test for entry in asked if entry.base == "kit" for test in entry.tests
        ):
            print(f"     FAIL on the sound image, too: {failure}", flush=True)
            wrong += 1
        running = matrix.Matrix(profiles)
        try:
            entries = {future: entry for entry, future in zip(asked, running.start(asked), strict=True)}
            for number, future in enumerate(as_completed(entries), 1):
                entry = entries[future]
                found = matrix.differences(entry, future.result())
                wrong += bool(found)
                print(f"{number:4d} {'FAIL' if found else 'ok':5}{entry.rule:11}{entry.name}", flush=True)
                for sentence in found:
                    print(f"          {sentence}", flush=True)
            running.close()
        except BaseException:
            running.kill()
            engine().remove_run(os.environ[RUN_VARIABLE])
            raise
    return wrong


if __name__ == "__main__":
    end_at_the_first()
    os.environ.setdefault(RUN_VARIABLE, uuid.uuid4().hex)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)
