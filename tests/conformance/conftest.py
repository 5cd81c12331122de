"""The image under test, trained once and served once for most of the tests.

    pytest tests/conformance --image ensemble-cpu
    pytest tests/conformance --image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1 --profile mine

Each test names the rules that it checks: `pytest --collect-only -q` lists them, `-k` selects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import endpoints
from tests.conformance.endpoints import Handlers
from tests.conformance.profile import Profile, csv_text, payload, read_profile, table
from tests.conformance.script_jobs import ScriptJobs
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan
from toolkit.serving.endpoint import START_LIMIT, Endpoint

DEFAULT_IMAGE = "ensemble-cpu"
ROWS = 80
# fixture -> what the image's profile must claim for the tests that use it
CAPABILITIES = {
    "scripts": "script_mode",
    "handlers": "handlers",
    "many": "multi_model",
    "with_sessions": "sessions",
    "with_streams": "bidirectional",
    "with_chats": "chats",
}
HANGS = 5.0  # seconds for a test that waits for what never comes

MakeJob = Callable[..., TrainingJob]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.docker)
    profile = chosen_profile(config) if ours else None
    differing = (
        [(row, item) for row in profile.differences for item in ours if row.names(item)] if profile else []
    )
    for row, item in differing:
        item.add_marker(pytest.mark.xfail(reason=row.reason, strict=True))
    for fixture, capability in CAPABILITIES.items():
        witnesses = [item for row, item in differing if row.lacks == capability]
        needing = [item for item in ours if fixture in getattr(item, "fixturenames", ())]
        if needing and not getattr(profile, capability):
            left_out = [item for item in needing if item not in witnesses]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each fault and each wrong request that the image's profile names."""
    for name in ("fault", "wrong_request"):
        if name in metafunc.fixturenames:
            values = vars(chosen_profile(metafunc.config))[f"{name}s"]
            metafunc.parametrize(name, list(values.values()), ids=list(values))


def chosen_image(config: pytest.Config) -> str:
    from toolkit.building.images import local_reference

    return local_reference(
        config.getoption("--image", None) or os.environ.get("OPT_ML_IMAGE") or DEFAULT_IMAGE
    )


def chosen_profile(config: pytest.Config) -> Profile:
    base_name = chosen_image(config).rpartition("/")[2].partition(":")[0].partition("@")[0]
    # The same image on another base is exercised in the same way.
    usual = base_name.removesuffix("-dlc")
    name = config.getoption("--profile", None) or os.environ.get("OPT_ML_PROFILE") or usual
    try:
        return read_profile(name)
    except FileNotFoundError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, profile: Profile) -> None:
    """Little of it, where the profile says that the test waits for what never comes."""
    if any(row.hangs and row.names(request.node) for row in profile.differences):
        monkeypatch.setattr(endpoints, "PATIENCE", HANGS)


@pytest.fixture(scope="session")
def image(pytestconfig: pytest.Config) -> str:
    """The local reference of the image under test."""
    return chosen_image(pytestconfig)


@pytest.fixture(scope="session")
def facts(image: str) -> Mapping[str, Any]:
    """What `docker image inspect` says."""
    from toolkit.machine.containers import engine

    return engine().image(image)


@pytest.fixture(scope="session")
def profile(pytestconfig: pytest.Config) -> Profile:
    """How to exercise the image."""
    return chosen_profile(pytestconfig)


@pytest.fixture(scope="session")
def start_limit(pytestconfig: pytest.Config) -> float:
    """Seconds until /ping must be 200."""
    return float(pytestconfig.getoption("--start-limit", None) or START_LIMIT)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the channels `train` and `validation`, one CSV file each."""
    directory = tmp_path_factory.mktemp("data")
    for name, rows, seed in (("train", ROWS, 1), ("validation", 20, 2)):
        (directory / name).mkdir()
        (directory / name / "data.csv").write_text(csv_text(table(rows, seed)))
    return directory


@pytest.fixture(scope="session")
def make_job(
    image: str,
    profile: Profile,
    data: Path,
    facts: Mapping[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> MakeJob:
    """A job of the image on the data; keyword arguments replace attributes of `TrainingJob`."""
    jobs_dir = tmp_path_factory.mktemp("jobs")

    def make(**changes: Any) -> TrainingJob:
        usual = {
            "image": image,
            "channels": tuple(Channel(name, data / name, "text/csv") for name in ("train", "validation")),
            "hyperparameters": profile.hyperparameters,
            "jobs_dir": jobs_dir,
        }
        if profile.program is not None:
            usual |= {"source_dir": profile.program.parent, "entry_point": profile.program.name}
        return TrainingJob(**{**usual, **changes})

    return make


@pytest.fixture(scope="module")
def scripts(make_job: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> ScriptJobs:
    """Jobs of a user's own program; its tests are left out where the profile has no script_mode."""
    return ScriptJobs(make_job, tmp_path_factory.mktemp("scripts"))


@pytest.fixture(scope="module")
def handlers(image: str, start_limit: float, tmp_path_factory: pytest.TempPathFactory) -> Handlers:
    """Endpoints of a user's own handler; its tests are left out where the profile has no handlers."""
    return Handlers(image, tmp_path_factory.mktemp("handlers"), start_limit)


@pytest.fixture(scope="session")
def trained(make_job: MakeJob) -> JobResult:
    """One job with both channels, which must complete."""
    result = execute(plan(make_job(name="usual")))
    assert result.status == "Completed", result.summary()
    return result


@pytest.fixture(scope="session")
def model(trained: JobResult) -> Path:
    """The model.tar.gz of the job."""
    assert trained.model, "the job left nothing in /opt/ml/model"
    return trained.model


@pytest.fixture(scope="session")
def shared_endpoint(image: str, model: Path, start_limit: float) -> Iterator[Endpoint]:
    """The model, served once."""
    with Endpoint(image, model, start_limit=start_limit) as running:
        yield running


@pytest.fixture
def endpoint(shared_endpoint: Endpoint, rows: Callable[[int], bytes], profile: Profile) -> Iterator[Endpoint]:
    """The served model, which must also answer after the test."""
    yield shared_endpoint
    assert shared_endpoint.container.is_running(), f"the test ended the container:\n{shared_endpoint.logs()}"
    after = shared_endpoint.invoke(rows(1), "text/csv", profile.accept)
    assert after.status == 200, f"after the test a good request got {after.status} {after.text}"


@pytest.fixture(scope="session")
def rows() -> Callable[[int], bytes]:
    """A good payload of so many rows."""
    return payload
