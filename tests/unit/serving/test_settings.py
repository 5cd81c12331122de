"""Variables of the container, and the CPUs it may use."""

from __future__ import annotations

import os

import pytest
from opt_ml.errors import UserError
from opt_ml.resources import memory_limit, usable_cpus
from opt_ml.serving.settings import MEGABYTE, default_workers, read_settings
from opt_ml.serving.workers.processes import describe_end, thread_limits


@pytest.mark.contract("HOST-30", "HOST-52", "HOST-109")
def test_without_variables_the_contracts_defaults_hold():
    settings = read_settings({})
    assert (settings.port, settings.timeout, settings.max_body) == (8080, 60, 25 * MEGABYTE)
    assert settings.workers == default_workers(usable_cpus(), memory_limit())


@pytest.mark.contract("HOST-94", "HOST-109")
@pytest.mark.parametrize(
    ("cpus", "gigabytes", "workers"), [(1, 1, 1), (2, 1, 1), (6, 6, 6), (4, 2, 2), (2, 0.5, 1), (8, 16, 8)]
)
def test_workers_are_one_a_cpu_and_at_most_one_a_gigabyte(cpus, gigabytes, workers):
    assert default_workers(cpus, int(gigabytes * 1024**3)) == workers


@pytest.mark.contract("HOST-101")
@pytest.mark.parametrize("toolkit", ["MMS", "TS"])
def test_the_limits_of_the_aws_model_servers_count_where_ours_are_not_set(toolkit):
    theirs = {f"{toolkit}_DEFAULT_RESPONSE_TIMEOUT": "3600", f"{toolkit}_MAX_REQUEST_SIZE": "1073741824"}
    settings = read_settings(theirs)
    assert (settings.timeout, settings.max_body) == (3600, 1024 * MEGABYTE)
    ours = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "5", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"}
    settings = read_settings({**theirs, **ours})
    assert (settings.timeout, settings.max_body) == (5, 6 * MEGABYTE)


@pytest.mark.contract("AG-09", "MHCS-06")
@pytest.mark.parametrize(
    ("word", "level", "least_status"),
    [
        ("", 20, 0),
        ("20", 20, 0),
        ("info", 20, 0),
        ("WARNING", 30, 400),
        ("40", 40, 500),
        ("critical", 50, 1000),
    ],
)
def test_the_log_level_is_a_name_or_a_number(word, level, least_status):
    policy = read_settings({"SAGEMAKER_CONTAINER_LOG_LEVEL": word}).log
    assert (policy.level, policy.least_status()) == (level, least_status)


def test_the_log_has_all_requests_or_errors_or_none_by_a_variable():
    found = {word: read_settings({"OPT_ML_ACCESS_LOG": word}).log for word in ("all", "errors", "off", "")}
    assert {word: policy.least_status() for word, policy in found.items()} == {
        "all": 0,
        "errors": 400,
        "off": 1000,
        "": 0,
    }
    for name, value in (("OPT_ML_ACCESS_LOG", "some"), ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud")):
        with pytest.raises(UserError, match=name):
            read_settings({name: value})


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
