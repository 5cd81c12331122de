"""Options that several folders of tests share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("image under test")
    group.addoption("--image", help="a name of ours or any local reference (default: ensemble-cpu)")
    group.addoption("--profile", help="tests/conformance/profiles/NAME.toml (default: the image's base name)")
    group.addoption("--start-limit", type=float, help="seconds until /ping must be 200 (default: 480)")
