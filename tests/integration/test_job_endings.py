"""Stops, time limits, spot interruptions and checkpoints of jobs in real containers."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.test_jobs import leftovers
from toolkit.jobs.job import JobResult

RunScript = Callable[..., JobResult]
Said = Callable[[JobResult], dict[str, list[str]]]

# Saves on SIGTERM and ends, as TRAIN-95 asks.
SAVE_AND_EXIT = """
def save(*_):
    (base / "model" / "model.json").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("ready")
while True:
    time.sleep(0.05)
"""


def statuses(result: JobResult) -> list[str]:
    return [part["Status"] for part in result.describe()["SecondaryStatusTransitions"]]


@pytest.mark.contract("TRAIN-94", "TRAIN-95")
def test_a_job_that_is_stopped_keeps_the_model_that_it_saved(run_script: RunScript) -> None:
    result = run_script(SAVE_AND_EXIT, stop_after=2)
    assert (result.status, result.secondary_status, result.exit_code) == ("Stopped", "Stopped", 0)
    assert not result.by_hand
    assert result.model
    with tarfile.open(result.model) as tar:
        assert tar.getnames() == ["model.json"]
    assert statuses(result) == ["Starting", "Training", "Uploading", "Stopped"]


@pytest.mark.contract("TRAIN-94", "TRAIN-98")
def test_a_job_that_runs_too_long_is_stopped_and_says_so(run_script: RunScript) -> None:
    seen: list[str] = []
    result = run_script(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
        max_run=1,
        stop_grace=1,
        hosts=2,
        on_line=seen.append,
    )
    assert (result.status, result.secondary_status) == ("Stopped", "MaxRuntimeExceeded")
    assert result.exit_codes == {"algo-1": 137, "algo-2": 137}
    assert "Stopped (MaxRuntimeExceeded) after" in result.summary()
    assert any("longest time" in line for line in seen)


@pytest.mark.contract("TRAIN-49", "TRAIN-90", "TRAIN-91", "TRAIN-96")
def test_an_interrupted_job_starts_again_with_its_checkpoints_and_an_empty_model(
    run_script: RunScript, said: Said, tmp_path: Path
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step").write_text("10")
    result = run_script(
        """
        (base / "input/changed").touch(exist_ok=False)
        checkpoint = Path(config("checkpointconfig")["LocalPath"]) / "step"
        step = int(checkpoint.read_text())
        print("resumed at", step, os.listdir(base / "model"))
        (base / "model" / f"from-{step}").touch()
        def stop(*_):
            checkpoint.write_text(str(step + 1))
            sys.exit(1)
        signal.signal(signal.SIGTERM, stop)
        print("ready")
        while step < 12:
            time.sleep(0.05)
        """,
        checkpoint_dir=tmp_path / "checkpoints",
        checkpoint_path="/opt/ml/elsewhere",
        spot_interrupt_after=(2.0, 2.0),
    )
    assert (result.status, result.interruptions) == ("Completed", 2), result.summary()
    assert [
        line.split(maxsplit=2)[2] for line in result.log.read_text().splitlines() if "resumed" in line
    ] == [
        "resumed at 10 []",
        "resumed at 11 []",
        "resumed at 12 []",
    ]
    assert [path.name for path in (result.host_dir / "model").iterdir()] == ["from-12"]
    again = ["Starting", "Training"]
    assert statuses(result) == [
        *again,
        "Interrupted",
        *again,
        "Interrupted",
        *again,
        "Uploading",
        "Completed",
    ]
    assert "and 2 interruptions" in result.summary()
    assert len(list((result.log.parent / "logs").iterdir())) == 3
    assert leftovers("container", "a-job") == ""


@pytest.mark.contract("TRAIN-96")
def test_an_interruption_without_notice_is_a_kill(run_script: RunScript, tmp_path: Path) -> None:
    result = run_script(
        """
        mark = base / "checkpoints" / "was-here"
        if mark.exists():
            sys.exit(0)
        mark.touch()
        signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM"))
        time.sleep(600)
        """,
        checkpoint_dir=tmp_path / "new" / "checkpoints",
        spot_interrupt_after=(2.0,),
        spot_notice=0,
    )
    assert (result.status, result.interruptions) == ("Completed", 1)
    assert "SIGTERM" not in result.log.read_text()


def test_ctrl_c_during_an_interruption_ends_the_job(run_script: RunScript) -> None:
    def interrupt(line: str) -> None:
        if "last words" in line:
            raise KeyboardInterrupt

    result = run_script(
        """
        def stop(*_):
            print("last words")
            time.sleep(1)
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        while True:
            time.sleep(0.05)
        """,
        spot_interrupt_after=(2.0,),
        on_line=interrupt,
    )
    assert (result.status, result.by_hand, result.interruptions) == ("Stopped", True, 0)


def test_a_job_that_begins_from_scratch_after_an_interruption_is_warned_about(run_script: RunScript) -> None:
    result = run_script(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\ntime.sleep(2)", spot_interrupt_after=(1.0,)
    )
    assert (result.status, result.interruptions) == ("Completed", 1)
    assert any("--checkpoint-dir" in warning for warning in result.warnings)


@pytest.mark.contract("TRAIN-91")
def test_checkpoints_of_several_hosts_come_together_and_each_host_gets_them_all(
    run_script: RunScript, said: Said, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "old").touch()
    script = """
        directory = base / "checkpoints"
        print(sorted(os.listdir(directory)))
        (directory / host).write_text(host)
        if host == "algo-1":
            (directory / "old").unlink(missing_ok=True)
        time.sleep(1)
        print(sorted(os.listdir(directory)))
    """
    first = run_script(script, hosts=2, checkpoint_dir=checkpoints)
    assert said(first) == {
        "algo-1": ["['old']", "['algo-1']"],
        "algo-2": ["['old']", "['algo-2', 'old']"],
    }
    assert sorted(path.name for path in checkpoints.iterdir()) == ["algo-1", "algo-2"]
    second = said(run_script(script, hosts=2, checkpoint_dir=checkpoints, name="again"))
    assert {lines[0] for lines in second.values()} == {"['algo-1', 'algo-2']"}


@pytest.mark.contract("TRAIN-25", "TRAIN-100")
def test_only_the_cache_of_a_warm_pool_comes_to_the_next_job(
    run_script: RunScript, said: Said, tmp_path: Path
) -> None:
    script = """
        cache = Path(os.environ["SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"])
        print(os.listdir(cache), Path("/tmp/mark").exists())
        (cache / "weights").touch()
        Path("/tmp/mark").touch()
    """
    first = run_script(script, warm_pool_dir=tmp_path / "pool")
    second = run_script(script, warm_pool_dir=tmp_path / "pool", name="again")
    assert said(first)["algo-1"] == ["[] False"]
    assert said(second)["algo-1"] == ["['weights'] False"]


@pytest.mark.contract("TRAIN-71", "TRAIN-73")
def test_a_job_without_compression_leaves_files(run_script: RunScript) -> None:
    result = run_script(
        """
        (base / "model" / "code").mkdir()
        (base / "model" / "code" / "inference.py").write_text("1")
        (base / "output/data/scores.json").write_text("{}")
        """,
        compress=False,
    )
    assert result.model == result.log.parent / "model"
    assert (result.model / "code" / "inference.py").read_text() == "1"
    assert result.output
    assert [path.name for path in result.output.iterdir()] == ["scores.json"]
    assert "/model (1 bytes)" in result.summary()


@pytest.mark.contract("TRAIN-27")
def test_the_record_of_a_job_holds_no_secret(run_script: RunScript, said: Said) -> None:
    result = run_script("print(os.environ['API_TOKEN'])", environment={"API_TOKEN": "s3cr3t", "MODE": "fast"})
    record = json.loads((result.log.parent / "result.json").read_text())
    assert said(result)["algo-1"] == ["s3cr3t"]
    assert record["Environment"] == {"API_TOKEN": "******", "MODE": "fast"}


def test_a_second_interruption_at_once_is_one_and_the_job_goes_on(run_script: RunScript) -> None:
    result = run_script(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\ntime.sleep(4)",
        spot_interrupt_after=(1.0, 0.0),
    )
    assert (result.status, result.interruptions) == ("Completed", 2)


@pytest.mark.contract("TRAIN-75")
def test_an_empty_failure_file_gives_the_exit_code_as_the_reason(run_script: RunScript) -> None:
    result = run_script('(base / "output" / "failure").write_text("\\n")\nsys.exit(3)')
    assert result.status == "Failed"
    assert "exit code 3" in str(result.failure_reason)
