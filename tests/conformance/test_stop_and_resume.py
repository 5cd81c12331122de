"""Stop and resume: SIGTERM leaves a usable model or none, and checkpoints that a restarted job can use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.outcomes import TOO_SHORT, told
from tests.conformance.profile import Profile
from toolkit.jobs.job import JobResult, TrainingJob, execute, plan
from toolkit.machine.containers import Container
from toolkit.serving.endpoint import Endpoint

MakeJob = Callable[..., TrainingJob]
Seen = dict[str, list[tuple[int, int]]]

RUN_FOR = 15.0  # seconds from the container's start, so that a job is in the middle of its work
MORE = 1.0  # seconds for which it goes on then, or after a checkpoint, which shows the same


class Watch:
    """Looks at a directory again and again, as the copying to S3 does (TRAIN-91).

    Attributes:
        seen: by name, the different (inode, size) that a file had.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seen: Seen = {}

    def look(self) -> None:
        """Note every file as it is now; one that goes away meanwhile is of no interest."""
        for path in self.directory.rglob("*"):
            try:
                state = path.stat()
            except OSError:
                continue
            noted = self.seen.setdefault(str(path), [])
            if path.is_file() and (state.st_ino, state.st_size) not in noted:
                noted.append((state.st_ino, state.st_size))

    def states(self) -> int:
        """How many states of files it has seen."""
        return sum(map(len, self.seen.values()))

    def grown(self) -> list[str]:
        """The files that are there to stay and had different sizes under their name without a rename."""
        return [
            name
            for name, states in self.seen.items()
            if Path(name).exists() and len({inode for inode, _ in states}) < len(states)
        ]


@contextmanager
def watching(directory: Path) -> Iterator[Watch]:
    """Watch a directory in the background for as long as the block lasts."""
    watch, ended = Watch(directory), threading.Event()

    def loop() -> None:
        while not ended.wait(0.002):
            watch.look()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


def stop_at_work(job: TrainingJob, watch: Watch) -> JobResult:
    """Run the job, and stop it as StopTrainingJob does: once, because a second stop kills it.

    That is MORE seconds after its first checkpoint, or where it writes none after RUN_FOR seconds.
    """
    stop, ended, before = threading.Semaphore(0), threading.Event(), watch.states()

    def wait() -> None:
        latest = time.monotonic() + RUN_FOR
        while watch.states() == before and time.monotonic() < latest:
            if ended.wait(0.05):
                return
        if not ended.wait(MORE):
            stop.release()

    @contextmanager
    def stopping(_host: str, _container: Container) -> Iterator[None]:
        waiting = threading.Thread(target=wait)
        waiting.start()
        try:
            yield
        finally:
            ended.set()
            waiting.join()

    return execute(plan(job), stop=stop, watch=stopping)


@pytest.fixture(scope="module")
def interrupted(
    make_job: MakeJob, profile: Profile, tmp_path_factory: pytest.TempPathFactory
) -> tuple[JobResult, Path, Watch]:
    """A long job that is stopped in the middle; its checkpoint directory, which was watched."""
    checkpoints = tmp_path_factory.mktemp("checkpoints")
    job = make_job(
        name="interrupted",
        hyperparameters=profile.long_hyperparameters or profile.hyperparameters,
        checkpoint_dir=checkpoints,
    )
    with watching(checkpoints) as watch:
        result = stop_at_work(job, watch)
    if result.status == "Completed" and profile.long_hyperparameters is None:
        pytest.skip(f"could not tell: {TOO_SHORT}")
    return result, checkpoints, watch


@pytest.mark.contract("TRAIN-94", "TRAIN-95")
def test_a_stopped_job_ends_inside_120_seconds_without_a_failure(
    interrupted: tuple[JobResult, Path, Watch],
) -> None:
    result, _, _ = interrupted
    assert result.status == "Stopped", told(result)
    assert result.exit_code != 137, "the job did not end on SIGTERM: it was killed after 120 s"
    assert not (result.host_dir / "output" / "failure").exists()


@pytest.mark.contract("TRAIN-95")
def test_what_a_stopped_job_leaves_can_be_served(
    interrupted: tuple[JobResult, Path, Watch],
    image: str,
    start_limit: float,
    rows: Callable[[int], bytes],
    profile: Profile,
) -> None:
    result, _, _ = interrupted
    if result.model is None:
        pytest.skip("could not tell: the job left nothing in /opt/ml/model, which a stopped job may")
    with Endpoint(image, result.model, start_limit=start_limit) as endpoint:
        answer = endpoint.invoke(rows(3), profile.content_type, profile.accept)
    assert answer.status == 200, answer.text


@pytest.mark.contract("TRAIN-93")
def test_no_checkpoint_is_ever_half_a_file(interrupted: tuple[JobResult, Path, Watch]) -> None:
    _, _, watch = interrupted
    assert watch.grown() == []


@pytest.mark.contract("TRAIN-92")
def test_a_job_goes_on_from_the_checkpoints_of_the_one_before(
    interrupted: tuple[JobResult, Path, Watch], make_job: MakeJob, profile: Profile
) -> None:
    _, checkpoints, _ = interrupted
    job = make_job(
        name="goes-on",
        hyperparameters=profile.long_hyperparameters or profile.hyperparameters,
        checkpoint_dir=checkpoints,
    )
    with watching(checkpoints) as watch:
        watch.look()
        result = stop_at_work(job, watch)
    if result.status == "Completed" and profile.long_hyperparameters is None:
        pytest.skip(f"could not tell: {TOO_SHORT}")
    assert result.status == "Stopped", told(result)


@pytest.mark.contract("TRAIN-92", "TRAIN-98")
def test_a_job_completes_with_no_checkpoint_and_again_with_those_of_its_own(
    make_job: MakeJob, tmp_path: Path
) -> None:
    for attempt in ("first", "again"):
        result = execute(plan(make_job(name=f"retried-{attempt}", checkpoint_dir=tmp_path)))
        assert result.status == "Completed", told(result)
        assert result.model


@pytest.mark.contract("TRAIN-92")
def test_damaged_and_foreign_checkpoints_are_passed_over(
    interrupted: tuple[JobResult, Path, Watch], make_job: MakeJob, profile: Profile
) -> None:
    _, checkpoints, _ = interrupted
    for path in list(checkpoints.rglob("*")):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (checkpoints / "of-another-program.txt").write_text("no checkpoint")
    for name, hyperparameters in (
        ("damaged", profile.long_hyperparameters or profile.hyperparameters),
        ("foreign", profile.hyperparameters),
    ):
        job = make_job(name=name, hyperparameters=hyperparameters, checkpoint_dir=checkpoints)
        with watching(checkpoints) as watch:
            watch.look()
            result = stop_at_work(job, watch)
        assert result.status in ("Stopped", "Completed"), told(result)
