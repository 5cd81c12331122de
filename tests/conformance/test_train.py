"""Training jobs that go well, with usual and with odd inputs."""

from __future__ import annotations

import json
import shutil
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.outcomes import TOO_SHORT, completed_or_named, run, told
from tests.conformance.profile import Profile
from toolkit.jobs.job import Channel, JobResult, Plan, TrainingJob, execute, plan

MakeJob = Callable[..., TrainingJob]


def with_config(job: TrainingJob, **documents: object) -> Plan:
    """A plan whose files under input/config are replaced; None leaves a file out."""
    usual = plan(job)
    files = {
        path: text for path, text in usual.files.items() if documents.get(Path(path).stem, "") is not None
    }
    for stem, document in documents.items():
        if document is not None:
            files[f"algo-1/input/config/{stem}.json"] = json.dumps(document)
    return replace(usual, files=files)


@pytest.mark.contract("TRAIN-01", "TRAIN-02", "TRAIN-70", "TRAIN-76")
@pytest.mark.foundation
def test_train_completes_and_leaves_a_model(trained: JobResult) -> None:
    assert trained.exit_code == 0
    assert trained.model
    with tarfile.open(trained.model) as tar:
        assert any(member.size for member in tar if member.isfile())


@pytest.mark.contract("TRAIN-75")
def test_a_completed_job_writes_no_failure_file(trained: JobResult) -> None:
    assert not (trained.host_dir / "output" / "failure").exists()


@pytest.mark.contract("TRAIN-72", "HOST-23")
def test_the_model_holds_no_links(trained: JobResult) -> None:
    assert trained.warnings == ()


@pytest.mark.contract("HOST-28", "HOST-92")
def test_the_model_can_be_read_by_every_user(trained: JobResult) -> None:
    for path in (trained.host_dir / "model").rglob("*"):
        if path.is_symlink():  # TRAIN-72
            continue
        wanted = 0o555 if path.is_dir() else 0o444
        assert path.stat().st_mode & wanted == wanted, f"{path} has mode {path.stat().st_mode:o}"


@pytest.mark.contract("TRAIN-110", "TRAIN-111")
@pytest.mark.needs("metric")
def test_metrics_are_lines_that_a_tuning_job_finds(trained: JobResult, profile: Profile) -> None:
    assert profile.metric in trained.metrics


@pytest.mark.contract("TRAIN-15", "TRAIN-16", "TRAIN-24")
def test_train_needs_no_network_and_nothing_of_the_image_below_opt_ml(make_job: MakeJob) -> None:
    isolated = plan(make_job(name="isolated", isolated=True))
    # One mount hides the whole of the image's /opt/ml, as `docker run -v DIR:/opt/ml IMAGE train` does.
    whole, *_ = isolated.run.binds
    data = ("/opt/ml/input/data/", "/opt/ml/code")
    channels = [bind for bind in isolated.run.binds if bind.target.startswith(data)]
    opt_ml = replace(whole, source=whole.source.parent, target="/opt/ml")
    run(replace(isolated, run=replace(isolated.run, binds=(opt_ml, *channels))))


@pytest.mark.contract("TRAIN-31", "TRAIN-35", "TRAIN-40", "TRAIN-48", "LOCAL-05", "LOCAL-06", "LOCAL-22")
def test_the_little_that_local_mode_writes_is_enough(make_job: MakeJob) -> None:
    job, host = make_job(name="local-mode"), "algo-1-x7k2q"
    made = with_config(
        job,
        inputdataconfig={channel.name: {"TrainingInputMode": "File"} for channel in job.channels},
        resourceconfig={"current_host": host, "hosts": [host], "network_interface_name": "ethwe"},
        **dict.fromkeys(
            (
                "init-config",
                "metric-definition-regex",
                "profilerconfig",
                "trainingjobconfig",
                "upstreamoutputdataconfig",
            )
        ),
    )
    # The service of its compose file has the host's name, which the container can look up.
    run(replace(made, run=replace(made.run, aliases=(host,))))


@pytest.mark.contract("TRAIN-32", "TRAIN-112", "TRAIN-113")
def test_doubly_encoded_and_reserved_hyperparameters_are_taken(make_job: MakeJob, profile: Profile) -> None:
    sdk = {
        "_tuning_objective_metric": profile.metric,
        "sagemaker_job_name": '"a-job"',
        "sagemaker_region": '"eu-west-1"',
        "sagemaker_container_log_level": "20",
    }
    run(plan(make_job(name="reserved", hyperparameters={**profile.hyperparameters, **sdk})))


@pytest.mark.contract("TRAIN-37")
@pytest.mark.parametrize("name", ["extra.data-1_x", "x" * 64])
def test_a_channel_with_a_legal_but_odd_name_is_used_or_refused_by_name(
    name: str, make_job: MakeJob, data: Path
) -> None:
    job = make_job(name=f"odd-channel-{len(name)}")
    result = execute(plan(replace(job, channels=(*job.channels, Channel(name, data / "validation")))))
    # An algorithm may insist on its own channels, so that a misspelt one is found.
    assert completed_or_named(result, name), told(result)


@pytest.mark.contract("TRAIN-45", "TRAIN-46")
@pytest.mark.needs("table")
def test_a_channel_without_a_directory_on_this_host_is_passed_over_or_named(make_job: MakeJob) -> None:
    both = make_job(name="other-group")
    here = replace(both, channels=both.channels[:1])
    result = execute(replace(plan(here), files=plan(both).files))
    # On one host an algorithm may insist on the data; only where groups share it must it go on without.
    assert completed_or_named(result, both.channels[1].name), told(result)


@pytest.mark.contract("TRAIN-52")
@pytest.mark.needs("table")
def test_a_channel_may_be_one_file(make_job: MakeJob, data: Path) -> None:
    run(
        plan(make_job(name="one-file", channels=(Channel("train", data / "train" / "data.csv", "text/csv"),)))
    )


@pytest.mark.contract("TRAIN-47", "TRAIN-48")
def test_unknown_config_files_are_ignored(make_job: MakeJob) -> None:
    usual = plan(make_job(name="unknown-files"))
    run(replace(usual, files={**usual.files, "algo-1/input/config/of-next-year.json": "not even JSON"}))


@pytest.mark.contract("TRAIN-04", "TRAIN-79", "TRAIN-94", "TRAIN-95")
def test_lines_come_at_once_and_sigterm_ends_the_job_in_time(make_job: MakeJob, profile: Profile) -> None:
    interrupted = False

    def interrupt_once(line: str) -> None:
        nonlocal interrupted
        if not interrupted and "algo-1" in line:  # the toolkit's own words name no host
            interrupted = True
            time.sleep(2)  # a job that gives its lines only at its end has ended by now
            raise KeyboardInterrupt

    job = make_job(name="stopped", hyperparameters=profile.long_hyperparameters or profile.hyperparameters)
    result = execute(plan(job), on_line=interrupt_once)
    if result.status == "Completed" and profile.long_hyperparameters is None:
        pytest.skip(f"could not tell: {TOO_SHORT}")
    assert result.secondary_status == "Stopped", "no line came before the job's end"
    assert result.exit_code != 137, "SIGTERM did not reach the job: it was killed after 120 s"


@pytest.mark.contract("TRAIN-54", "TRAIN-55")
def test_channels_may_be_fastfile(make_job: MakeJob) -> None:
    run(plan(make_job(name="fastfile", input_mode="FastFile")))


@pytest.mark.contract("TRAIN-53")
@pytest.mark.needs("table")
def test_a_manifest_beside_a_channel_is_no_channel(make_job: MakeJob, data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "train" / "data.csv", tmp_path)
    (tmp_path / "list.json").write_text('[{"prefix": "s3://bucket/"}, "data.csv"]')
    channel = Channel("train", tmp_path / "list.json", "text/csv", manifest=True)
    made = plan(make_job(name="manifest", channels=(channel,)))
    result = run(made)
    assert (result.host_dir / "input" / "data" / "train-manifest").is_file()


@pytest.mark.contract("TRAIN-92", "TRAIN-96")
@pytest.mark.parametrize("checkpoints", [None, "checkpoints"])
def test_a_job_that_was_taken_away_without_notice_completes_anew(
    checkpoints: str | None, make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job(
        name=f"taken-away-{checkpoints}",
        checkpoint_dir=tmp_path / checkpoints if checkpoints else None,
        spot_interrupt_after=(1.0,),
        spot_notice=0,
    )
    result = run(plan(job))
    if not result.interruptions:
        pytest.skip("could not tell: the job was done before it could be taken away")


@pytest.mark.contract("TRAIN-06", "TRAIN-16", "V3-08")
def test_train_is_found_on_path_by_a_shell_that_is_no_login_shell(make_job: MakeJob) -> None:
    job = make_job(name="shell", entrypoint=("/bin/sh", "-c"), arguments=("exec train",))
    run(plan(job))
