"""The number of threads is that of the container, not of its host."""

from __future__ import annotations

import os

import pytest
from opt_ml_ensemble import cpus


@pytest.mark.contract("HOST-109")
@pytest.mark.parametrize(
    ("quota", "most"), [("50000 100000", 1), ("100000 100000", 1), ("max 100000", 10**6)]
)
def test_a_quota_of_the_control_group_is_kept(tmp_path, monkeypatch, quota, most):
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(cpus, "_QUOTAS", (tmp_path / "cpu.max",))
    assert cpus.usable_cpus() == min(most, len(os.sched_getaffinity(0)))


def test_without_a_control_group_the_affinity_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(cpus, "_QUOTAS", (tmp_path / "absent",))
    assert cpus.usable_cpus() == len(os.sched_getaffinity(0))
