"""The conformance suite passes on an image that keeps the contract, and fails where one rule is broken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration import tiny_image

SUITE = Path(__file__).parent.parent / "conformance"

FAULTS = {
    "buffers-lines": "test_lines_come_at_once",
    "dies-at-garbage": "test_a_wrong_request_is_explained",
    "dirty-stop": "test_sigterm_ends_the_server",
    "drops-requests": "test_a_request_that_is_being_answered",
    "exit-zero": "test_a_wrong_call_is_named",
    "failure-file-on-success": "test_a_completed_job_writes_no_failure_file",
    "fixed-port": "test_the_port_of_the_platform",
    "garbage-500": "test_a_wrong_request_is_explained",
    "half-written-model": "test_a_wrong_call_is_named",
    "ignores-accept": "test_an_answer_type_that_nobody_makes",
    "ignores-sigterm": "test_sigterm_ends_the_server",
    "listens-elsewhere": "test_nothing_listens_but",
    "lists-channels": "test_a_channel_without_a_directory",
    "lists-config": "test_unknown_config_files",
    "loopback-only": "test_serve_becomes_healthy",
    "metrics-a-request": "test_metrics_are_few",
    "needs-content-type": "test_the_little_that_local_mode_writes",
    "needs-content-type-header": "test_a_missing_content_type",
    "needs-extra-file": "test_the_little_that_local_mode_writes",
    "needs-interface": "test_the_little_that_local_mode_writes",
    "needs-identifiers": "test_a_channel_with_a_legal",
    "needs-network": "test_train_needs_no_network",
    "no-chunked": "test_a_chunked_body",
    "no-failure-file": "test_an_empty_channel_is_named",
    "no-parameters": "test_parameters_of_the_content_type",
    "no-post-ping": "test_ping_may_be_posted",
    "one-answer": "test_each_row_gets_one_answer",
    "passes-tuning-name": "test_doubly_encoded_and_reserved",
    "reads-batch-word": "test_the_container_of_a_job",
    "refuses-to-expect": "test_a_client_that_asks_before",
    "saves-a-link": "test_the_model_holds_no_links",
    "saves-privately": "test_the_model_can_be_read",
    "slow-ping": "test_ping_answers_while",
    "small-limit": "test_a_body_of_twenty_five",
    "static-ping": "test_a_model_that_cannot_be_loaded",
    "takes-memory": "test_one_gigabyte",
    "traceback": "test_a_wrong_request_is_explained",
    "traceback-first": "test_a_wrong_call_is_named",
    "unknown-path-500": "test_unknown_paths",
    "unknown-path-kills": "test_unknown_paths",
    "writes-home": "test_any_user_can_serve",
    "writes-to-model": "test_serve_becomes_healthy",
}
INSTRUCTIONS = {
    "gpu-hidden": ("ENV NVIDIA_VISIBLE_DEVICES=none", "test_the_environment_does_not_hide"),
    "healthcheck": ("HEALTHCHECK CMD true", "test_there_is_no_healthcheck"),
    "init": ('ENTRYPOINT ["/usr/bin/tini", "--"]', "test_the_entrypoint_is_no_init"),
    "no-chmod": ("ENV PATH=/usr/local/bin", "test_a_shell_script_is_made_executable"),
    "shell-form": ("ENTRYPOINT exec train", "test_the_entrypoint_is_in_exec_form"),
    "unlabelled": ("LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=", "test_a_label_says"),
    "user": ("USER 1000", "test_the_user_is_root"),
    "volume": ("VOLUME /opt/ml", "test_there_is_no_healthcheck"),
}


def run_suite(image: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(SUITE),
        "--image",
        image,
        "--profile",
        "tiny",
        "-q",
        *options,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=SUITE.parent.parent, env=environment, capture_output=True, text=True, check=False
    )


def assert_only_fails(image: str, test: str) -> None:
    result = run_suite(image, "-k", test, "--start-limit", "5")
    broken = re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", result.stdout, re.MULTILINE)
    assert broken, result.stdout
    assert {name for name in broken if not name.startswith(test)} == set(), result.stdout


def test_the_suite_passes_on_an_image_that_keeps_the_contract(tiny: str) -> None:
    result = run_suite(tiny, "-n", "3", "--dist", "loadgroup")
    assert result.returncode == 0, result.stdout
    reasons = set(re.findall(r"^SKIPPED .*?: (.+)$", result.stdout, re.MULTILINE))
    assert reasons <= {
        "could not tell: the job left nothing in /opt/ml/model, which a stopped job may",
        "could not tell: the job was done before it could be taken away",
        "could not tell: the image is in no registry yet, and its manifest is made by the push",
    }


@pytest.mark.parametrize(("fault", "test"), FAULTS.items(), ids=FAULTS)
def test_a_fault_is_found_by_the_test_of_its_rule(fault: str, test: str, tiny: str) -> None:
    with tiny_image.variant(fault, f"ENV FAULT={fault}") as image:
        assert_only_fails(image, test)


@pytest.mark.parametrize(
    ("name", "instruction", "test"), [(name, *rest) for name, rest in INSTRUCTIONS.items()]
)
def test_a_wrong_instruction_is_found_by_the_test_of_its_rule(
    name: str, instruction: str, test: str, tiny: str
) -> None:
    with tiny_image.variant(name, instruction) as image:
        assert_only_fails(image, test)
