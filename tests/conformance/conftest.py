"""The image under test, trained once and served once for most of the tests.

    pytest tests/conformance --image ensemble-cpu
    pytest tests/conformance --image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1 --profile mine

Each test names the rules that it checks: `pytest --collect-only -q` lists them, `-k` selects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import diagnosis, endpoints, scheduling, selection
from tests.conformance.endpoints import Handlers
from tests.conformance.once import CauseError, UnusableError, once
from tests.conformance.profile import Profile, csv_text, read_profile, table
from tests.conformance.script_jobs import ScriptJobs
from toolkit.errors import ToolkitError
from toolkit.jobs.job import Channel, JobResult, TrainingJob, execute, plan
from toolkit.serving.endpoint import START_LIMIT, Endpoint, EndpointError
from toolkit.verify.layers import ImageFiles, read_layers

DEFAULT_IMAGE = "ensemble-cpu"
ROWS = 80
HANGS = 5.0  # seconds for a test that waits for what never comes
JOB_LIMIT = 600.0  # seconds until a job must have ended

MakeJob = Callable[..., TrainingJob]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    if ours := [item for item in items if here in item.path.parents]:
        for item in ours:
            item.add_marker(pytest.mark.docker)
            scheduling.group(item)
        left_out = selection.choose(ours, chosen_profile(config), config)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each fault and each wrong request that the image's profile names."""
    for name in ("fault", "wrong_request"):
        if name in metafunc.fixturenames:
            values = vars(chosen_profile(metafunc.config))[f"{name}s"]
            metafunc.parametrize(name, list(values.values()), ids=list(values))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Each report knows its rules, and what a diagnosis has found."""
    report = yield
    report.user_properties.append(("rules", selection.rules_of(item)))
    if call.excinfo and isinstance(call.excinfo.value, CauseError):
        report.user_properties.append(("cause", call.excinfo.value.cause))
    if call.excinfo and isinstance(call.excinfo.value, UnusableError):
        findings = call.excinfo.value.findings if selection.is_foundation(item) else {}
        report.user_properties.append(("unusable", (str(call.excinfo.value.text), call.excinfo.value.notes)))
        report.user_properties.append(("findings", findings))
    elif (
        call.excinfo
        and isinstance(call.excinfo.value, EndpointError)
        and selection.shows_container(item)
        and not hasattr(report, "wasxfail")  # of what is known to be lacking there is nothing to find out
    ):
        text = call.excinfo.value.message
        report.user_properties.append(("unusable", (text, call.excinfo.value.log)))
        report.user_properties.append(("findings", dict.fromkeys(selection.rules_of(item), text)))
    return report


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
    except (FileNotFoundError, TypeError, ValueError) as error:
        raise pytest.UsageError(f"profile {name}: {error}") from None


@pytest.fixture(autouse=True)
def served_at_all(request: pytest.FixtureRequest) -> None:
    """No test starts a server of which it is known that it does not become healthy."""
    if "serve" in selection.used_by(request.node) and not selection.is_foundation(request.node):
        request.getfixturevalue("serving")


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
def files(image: str, shared_dir: Path) -> ImageFiles:
    """What lies in the image's layers."""
    return once(shared_dir / "files", lambda: read_layers(image))


@pytest.fixture(scope="session")
def profile(pytestconfig: pytest.Config) -> Profile:
    """How to exercise the image."""
    return chosen_profile(pytestconfig)


@pytest.fixture(scope="session")
def first_start_limit(pytestconfig: pytest.Config) -> float:
    """Seconds until /ping must be 200, of the first start."""
    return float(pytestconfig.getoption("--start-limit", None) or START_LIMIT)


@pytest.fixture(scope="session")
def start_limit(first_start_limit: float, serving: list[Endpoint]) -> float:
    """Seconds until /ping must be 200, of a server that has been healthy once."""
    return first_start_limit


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
    pytestconfig: pytest.Config,
) -> MakeJob:
    """A job of the image on the data; keyword arguments replace attributes of `TrainingJob`.

    It is stopped at the job limit, so that a job that hangs fails its test.
    """
    limit = float(pytestconfig.getoption("--job-limit", None) or JOB_LIMIT)
    jobs_dir = tmp_path_factory.mktemp("jobs")
    channels = [(name, data / name, "text/csv") for name in ("train", "validation")]
    if profile.channels:
        channels = [(name, path, "") for name, path in profile.channels.items()]

    def make(**changes: Any) -> TrainingJob:
        usual = {
            "image": image,
            "channels": tuple(Channel(*channel) for channel in channels),
            "hyperparameters": profile.hyperparameters,
            "jobs_dir": jobs_dir,
            "max_run": limit,
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
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all worker processes of this run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def trained(make_job: MakeJob, shared_dir: Path) -> JobResult:
    """One job with all channels, which must complete and leave a model."""

    def train() -> JobResult:
        try:
            result = execute(plan(make_job(name="usual")))
        except ToolkitError as error:
            raise diagnosis.not_startable(error, "TRAIN-02") from None
        if broken := diagnosis.of_job(result):
            lines = result.log.read_text(errors="replace").splitlines()[-diagnosis.LAST_LINES :]
            raise UnusableError("The usual job did not complete with a model.", broken, "\n".join(lines))
        return result

    return once(shared_dir / "trained", train)


@pytest.fixture(scope="session")
def model(request: pytest.FixtureRequest, profile: Profile) -> Path | None:
    """The model.tar.gz of the caller, or that of the job; None for an image that is served without one."""
    if profile.model or not profile.train:
        return profile.model
    trained: JobResult = request.getfixturevalue("trained")
    return trained.model


@pytest.fixture(scope="session")
def serving(
    image: str,
    model: Path | None,
    first_start_limit: float,
    profile: Profile,
    shared_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Endpoint]]:
    """UnusableError, where the server does not become healthy or predicts elsewhere: one process finds out.

    The endpoint that the process has started for it, if it is this one.
    """
    running: list[Endpoint] = []
    with ExitStack() as resources:

        def serve() -> None:
            endpoint = diagnosis.start(image, model, first_start_limit, tmp_path_factory.mktemp("writable"))
            running.append(endpoint)
            resources.push(endpoint)  # removed, too, where the next line says that it is of no use
            diagnosis.require_predictions(endpoint, profile)

        once(shared_dir / "serving", serve)
        yield running


@pytest.fixture(scope="session")
def shared_endpoint(
    serving: list[Endpoint], image: str, model: Path | None, start_limit: float
) -> Iterator[Callable[[], Endpoint]]:
    """The model, served once, and once more where a test has ended its server."""
    with ExitStack() as resources:
        running = list(serving)

        def served() -> Endpoint:
            if not running or not running[-1].container.is_running():
                running.append(resources.enter_context(Endpoint(image, model, start_limit=start_limit)))
            return running[-1]

        yield served


@pytest.fixture
def endpoint(
    shared_endpoint: Callable[[], Endpoint], rows: Callable[[int], bytes], profile: Profile
) -> Iterator[Endpoint]:
    """The served model, which must also answer after the test."""
    running = shared_endpoint()
    yield running
    assert running.container.is_running(), f"the test ended the container:\n{running.logs()}"
    after = running.invoke(rows(1), profile.content_type, profile.accept)
    assert after.status == 200, f"after the test a good request got {after.status} {after.text}"


@pytest.fixture(scope="session")
def rows(profile: Profile) -> Callable[[int], bytes]:
    """A good payload of so many rows."""
    return profile.payload
