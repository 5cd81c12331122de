"""Options that several folders of tests share."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.integration import tiny_image
from toolkit.building import images
from toolkit.building.ledger import entries
from toolkit.building.ledger.freshness import states

HERE = Path(__file__).parent
DEFAULT_IMAGE = "ensemble-cpu"
SUITES = ("conformance", "images")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("image under test")
    group.addoption("--image", help="a name of ours or any local reference (default: ensemble-cpu)")
    group.addoption(
        "--profile", help="a name in tests/conformance/profiles, or a file (default: the image's base name)"
    )
    group.addoption("--only", metavar="IDS", help="the tests of these rules of the contract: HOST-30,HOST-31")
    group.addoption("--job-limit", type=float, help="seconds until a job must have ended")
    group.addoption("--results", metavar="FILE", help="write what becomes of each test, as JSON lines")
    group.addoption("--start-limit", type=float, help="seconds until /ping must be 200 (default: 480)")


@pytest.fixture(scope="session")
def tiny() -> Iterator[str]:
    """An image that keeps the contract, small enough to be made for the tests that need one."""
    with tiny_image.tiny() as image:
        yield image


def pytest_configure() -> None:
    """Hear Ctrl-C: a shell tells what it starts in the background to pass over it, and tests send it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep what whole suites found on an image of ours in the ledger, for `build.py status`."""
    name = session.config.getoption("--image") or DEFAULT_IMAGE
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    whole = [suite for suite in SUITES if is_whole(session.config, suite)]
    if reporter is None or name not in images.matrix() or not whole:
        return
    counts = {
        suite: Counter(
            outcome
            for outcome in ("passed", "failed", "error", "skipped", "xfailed")
            for report in reporter.stats.get(outcome, ())
            if report.nodeid.startswith(f"tests/{suite}/")
        )
        for suite in whole
    }
    [state] = states([images.find(name)])
    if state.entry is None or session.config.option.collectonly:
        return
    for suite, found in counts.items():
        failed = found["failed"] + found["error"]
        skipped = found["skipped"] + found["xfailed"]
        now = datetime.now(UTC)
        result = entries.SuiteResult(
            suite=suite, at=now, passed=found["passed"], failed=failed, skipped=skipped
        )
        if sum(found.values()):
            entries.add_result(state.entry, result)


def is_whole(config: pytest.Config, suite: str) -> bool:
    """True where every test of a suite was asked for."""
    chosen = config.option.keyword or config.option.markexpr or config.getoption("--only")
    asked = [Path(config.invocation_params.dir, argument).resolve() for argument in config.args]
    return not chosen and any(path in (HERE, HERE / suite) for path in asked)
