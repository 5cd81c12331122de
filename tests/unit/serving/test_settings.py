"""Variables of the container, and the CPUs it may use."""

from __future__ import annotations

import os

import pytest
from opt_ml.errors import UserError
from opt_ml.resources import usable_cpus
from opt_ml.serving.processes import describe_end, thread_limits
from opt_ml.serving.settings import MEGABYTE, read_settings


@pytest.mark.contract("HOST-30", "HOST-52", "HOST-109")
def test_without_variables_the_contracts_defaults_hold():
    settings = read_settings({})
    assert (settings.port, settings.timeout, settings.max_body) == (8080, 60, 25 * MEGABYTE)
    assert settings.workers == usable_cpus()


@pytest.mark.contract("BATCH-01", "BATCH-06", "BATCH-09", "HOST-52")
@pytest.mark.parametrize("word", ["true", "True"])
def test_batch_transform_raises_the_limits_and_zero_lifts_the_payload_limit(word):
    settings = read_settings({"SAGEMAKER_BATCH": word})
    assert (settings.timeout, settings.max_body) == (600, 100 * MEGABYTE)
    assert read_settings({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}).max_body is None


@pytest.mark.contract("HANDLER-16", "HOST-101")
def test_the_time_out_in_seconds_goes_before_the_other():
    variables = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "900"}
    assert read_settings(variables).timeout == 900
    assert read_settings({**variables, "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "30"}).timeout == 30


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "x", "\u0663", "9" * 5000])
def test_a_value_out_of_range_is_named_with_its_variable(value):
    with pytest.raises(UserError, match=r"^SAGEMAKER_BIND_TO_PORT="):
        read_settings({"SAGEMAKER_BIND_TO_PORT": value})


@pytest.mark.contract("HOST-108", "HOST-109")
@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": ""}, None),
        ({}, None),
    ],
)
def test_usable_cpus_are_the_quota_where_it_is_less_than_the_affinity(tmp_path, files, quota):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    affinity = len(os.sched_getaffinity(0))
    assert usable_cpus(tmp_path) == (affinity if quota is None else min(affinity, quota))


def test_usable_cpus_follow_the_affinity_of_the_process(tmp_path):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cpus(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_thread_pools_share_the_cpus_and_keep_what_the_user_set():
    assert thread_limits(2, 8, {})["OMP_NUM_THREADS"] == "4"
    assert thread_limits(8, 2, {})["MKL_NUM_THREADS"] == "1"
    limits = thread_limits(2, 8, {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "1"})
    assert "OMP_NUM_THREADS" not in limits
    assert "MKL_NUM_THREADS" not in limits
    assert limits["OPENBLAS_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("status", "words"),
    [(9, "SIGKILL (out of memory?"), (11, "SIGSEGV"), (3 << 8, "exited with code 3"), (None, "stopped")],
)
def test_the_end_of_a_worker_is_told_in_words(status, words):
    assert words in describe_end(status)
