"""Which tests one worker process must run together, so that what they share is made once."""

from __future__ import annotations

import pytest

# Fixtures of a whole module that cost nothing to make anew.
MAKERS = {"scripts", "handlers"}
ENDPOINT = "shared_endpoint"


def group(item: pytest.Item) -> None:
    """Give a test its `xdist_group`: those of one module that share a container, or the served model."""
    if not item.config.pluginmanager.hasplugin("xdist"):
        return
    fixtures = getattr(item, "fixturenames", ())
    definitions = item._fixtureinfo.name2fixturedefs if hasattr(item, "_fixtureinfo") else {}
    shared = [
        name
        for name in fixtures
        if name not in MAKERS and name in definitions and definitions[name][-1].scope == "module"
    ]
    if shared:
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
    elif ENDPOINT in fixtures:
        item.add_marker(pytest.mark.xdist_group(ENDPOINT))
