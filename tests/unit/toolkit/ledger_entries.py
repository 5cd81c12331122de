"""An entry of the ledger, for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from toolkit.building.ledger.entries import Entry


def entry(digest="sha256:" + "ab" * 32, **values):
    """One of `ensemble-cpu`, with `values` in place of its own."""
    return Entry.model_validate(
        {
            "name": "ensemble-cpu",
            "reference": "opt-ml/ensemble-cpu:latest",
            "digest": digest,
            "built_at": datetime(2026, 1, 2, tzinfo=UTC),
            "build_seconds": 1.0,
            "revision": "",
            "inputs": {"a": "1"},
            "base": "sha256:base",
            "size_bytes": 10,
            "layers": [{"diff_id": "sha256:1", "size_bytes": 10, "step": "RUN true"}],
            "environment": {},
            "labels": {},
        }
        | values
    )
