"""Options that several folders of tests share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("image under test")
    group.addoption("--image", help="a name of ours or any local reference (default: ensemble-cpu)")
    group.addoption(
        "--profile", help="a name in tests/conformance/profiles, or a file (default: the image's base name)"
    )
    group.addoption("--only", metavar="IDS", help="the tests of these rules of the contract: HOST-30,HOST-31")
    group.addoption("--job-limit", type=float, help="seconds until the usual job must have ended")
    group.addoption("--results", metavar="FILE", help="write what becomes of each test, as JSON lines")
    group.addoption("--start-limit", type=float, help="seconds until /ping must be 200 (default: 480)")
