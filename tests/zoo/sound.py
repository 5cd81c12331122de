"""The sound images that those of the zoo differ from, and how to exercise them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from tests.conformance.profile import csv_text, read_profile, table
from tests.integration import tiny_image
from tests.zoo.kit_image import KIT, kit
from toolkit.jobs.job import Channel, TrainingJob, execute, plan
from toolkit.verify import suite
from toolkit.verify.results import PASSED, TestResult

ROWS = 80
IMAGES = {"tiny": tiny_image.TINY, "kit": KIT}
PROFILES = {"tiny": "tiny", "kit": str(Path(__file__).parent / "kit.toml")}


class Quiet:
    """Hears of a run of the suite that nobody looks at."""

    def found(self, tests: int) -> None: ...

    def begins(self, test: str) -> None: ...

    def ended(self, test: TestResult) -> None: ...


def failures_of_kit(tests: Iterable[str]) -> list[str]:
    """Those of the tests, each `module::function`, that do not pass on the sound image `kit`."""
    chosen = " or ".join(sorted({test.partition("::")[2] for test in tests}))
    if not chosen:
        return []
    results = suite.run(suite.Run(KIT, PROFILES["kit"], tests=("-k", chosen)), Quiet())
    return [f"{result.name}: {result.seen}" for result in results if result.status != PASSED]


@contextmanager
def profiles(directory: Path, bases: Iterable[str]) -> Iterator[dict[str, Path]]:
    """Name of a sound image -> a profile with a model that it has trained, so that not every other one must.

    The images are there as long as the block; the tiny one must be there before.

    Args:
        directory: an empty one, for the jobs and the profiles.
        bases: names of the sound images that are needed.
    """
    wanted = set(bases)
    with kit() if "kit" in wanted else nullcontext():
        made = {}
        for name in wanted:
            made[name] = directory / f"{name}.json"
            model = _train(name, directory)
            made[name].write_text(json.dumps({"like": PROFILES[name], "serving": {"model": str(model)}}))
        yield made


def _train(name: str, directory: Path) -> Path:
    """The model.tar.gz of a job of a sound image."""
    (directory / "train.csv").write_text(csv_text(table(ROWS, seed=1)))
    program = read_profile(PROFILES[name]).program
    job = TrainingJob(
        IMAGES[name],
        name=f"sound-{name}",
        channels=(Channel("train", directory / "train.csv", "text/csv"),),
        jobs_dir=directory,
        source_dir=program.parent if program else None,
        entry_point=program.name if program else None,
    )
    result = execute(plan(job), on_line=lambda line: None)
    assert result.model, result.summary()
    return result.model
