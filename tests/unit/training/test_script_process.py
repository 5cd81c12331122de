"""The user's process: streams, signals, children and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from opt_ml.training.script.process import _write_all

from tests.unit.training.script_job import ScriptJob


@pytest.fixture
def job(tmp_path):
    return ScriptJob(tmp_path)


def alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.contract("TRAIN-79")
def test_both_streams_are_passed_on_byte_for_byte(job):
    data = bytes(range(256)) * 3000  # more than a pipe holds
    text = f"""
import os
for descriptor in (1, 2):
    left = bytes(range(256)) * {len(data) // 256}
    while left:
        left = left[os.write(descriptor, left):]
"""
    code, output, errors = job.run(text)
    assert code == 0
    assert output.endswith(data)
    assert errors == data


@pytest.mark.contract("TRAIN-79")
def test_a_line_without_its_end_is_passed_on_at_once(job):
    process = job.start("import sys, time\nsys.stderr.write('half a li'); sys.stderr.flush(); time.sleep(60)")
    assert os.read(process.stderr.fileno(), 100) == b"half a li"
    process.terminate()
    process.communicate()


@pytest.mark.contract("TRAIN-76", "TT-62")
@pytest.mark.parametrize(
    ("text", "code"),
    [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 11)", 139), ("1/0", 1), ("", 0)],
)
def test_the_exit_code_is_the_programs_own(job, text, code):
    assert job.run(text)[0] == code


@pytest.mark.contract("TRAIN-04", "TT-64")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_program_and_its_answer_is_kept(job, number):
    text = """
import signal, sys, time
def stop(number, frame):
    print("got", number)
    sys.exit(3)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, stop)
print("ready")
while True:  # a signal just before a long sleep would be heard after it
    time.sleep(0.05)
"""
    process = job.start(text)
    while process.stdout.readline() != b"ready\n":
        assert process.poll() is None
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert output == f"got {int(number)}\n".encode()
    assert process.returncode == 3


@pytest.mark.contract("TT-64")
def test_a_program_that_does_not_catch_sigterm_ends_by_it_without_a_failure_file(job):
    process = job.start("import time; print('ready'); time.sleep(60)")
    while process.stdout.readline() != b"ready\n":
        assert process.poll() is None
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"Stopped" in errors
    assert not job.failure_file.exists()


@pytest.mark.contract("TRAIN-04")
def test_no_process_of_the_group_outlives_the_program(job):
    text = """
import subprocess, sys
waiting = "import time; print(1, flush=True); time.sleep(99)"
ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + waiting
children = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
            for code in (ignoring, waiting)]
for child in children:
    child.stdout.readline()
print("children", *(child.pid for child in children))
import os; os._exit(0)
"""
    job.before = "from opt_ml.training.script import process; process._GRACE = 0.5"
    code, output, _ = job.run(text)
    pids = [int(word) for word in output.split(b"children")[1].split()]
    assert code == 0
    assert len(pids) == 2
    limit = time.monotonic() + 10  # the kernel has been told; it does it when it can
    while any(alive(pid) for pid in pids) and time.monotonic() < limit:
        time.sleep(0.05)
    assert [pid for pid in pids if alive(pid)] == []


def test_a_daemon_that_holds_standard_error_open_does_not_hold_the_job(job):
    text = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    print("daemon", os.getpid(), flush=True)
    time.sleep(99)
"""
    process = job.start(text)
    lines = []
    while not any(line.startswith(b"daemon") for line in lines):
        lines.append(process.stdout.readline())
    process.wait(60)
    assert process.returncode == 0
    with suppress(ProcessLookupError):
        os.kill(int(lines[-1].split()[1]), signal.SIGKILL)


@pytest.mark.contract("TRAIN-04")
def test_a_zombie_that_nobody_collects_does_not_hold_the_job(job):
    text = """
import os, time
into, out = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:  # it stays in the program's group, and its parent leaves that
        os._exit(0)
    os.setsid()
    print("daemon", os.getpid(), flush=True)
    os.write(out, b".")
    time.sleep(99)
os.read(into, 1)
"""
    process = job.start(text)
    lines = []
    while not any(line.startswith(b"daemon") for line in lines):
        lines.append(process.stdout.readline())
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        os.kill(int(lines[-1].split()[1]), signal.SIGKILL)


def test_a_terminal_that_a_program_made_non_blocking_loses_nothing():
    """`docker run -t` gives one terminal for all: a program that changes its standard output changes ours."""
    into, out = os.pipe()
    os.set_blocking(out, False)
    data = bytes(range(256)) * 4096
    writer = threading.Thread(target=_write_all, args=(out, data))
    writer.start()
    found = b""
    while len(found) < len(data):
        found += os.read(into, 4096)
    writer.join()
    assert found == data


@pytest.mark.contract("TRAIN-76")
def test_a_model_counts_also_where_the_success_file_cannot_be_written(job):
    text = f"import os, pathlib; pathlib.Path({str(job.base / 'output')!r}).touch()"
    code, _, errors = job.run(text)
    assert code == 0
    assert b"success could not be written" in errors


@pytest.mark.contract("TT-64", "TRAIN-04")
def test_sigterm_during_the_installation_ends_it_and_the_program_is_not_started(job):
    package = job.base / "code" / "slow"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (package / "backend.py").write_text("import time\nopen('../building', 'w')\ntime.sleep(60)\n")
    (job.base / "code" / "requirements.txt").write_text("./slow\n")
    process = job.start("print('the program began')")
    limit = time.monotonic() + 60
    while not (job.base / "code" / "building").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"the program began" not in output
    assert not job.failure_file.exists()


@pytest.mark.contract("TRAIN-42", "TT-54")
def test_sigterm_ends_the_wait_for_a_host_name(job):
    process = job.start(
        "", resources={"current_host": "localhost", "hosts": ["localhost", "no-such-host.invalid"]}
    )
    assert b"Waiting for the host names no-such-host.invalid" in process.stdout.readline()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143


@pytest.mark.contract("TRAIN-42", "TT-54")
def test_a_host_name_that_never_resolves_is_named_after_the_limit(job):
    hosts = ["localhost", "no-such-host.invalid"]
    resources = {"current_host": "localhost", "hosts": hosts}
    code, _, _ = job.run("", resources=resources, OPT_ML_HOSTS_TIMEOUT="0.5")
    assert code == 1
    assert "no-such-host.invalid" in job.reason
    assert "localhost" not in job.reason


@pytest.mark.contract("TRAIN-41", "TRAIN-42")
def test_one_host_waits_for_no_name(job):
    resources = {"current_host": "no-such-host.invalid", "hosts": ["no-such-host.invalid"]}
    assert job.run("", resources=resources)[0] == 0


@pytest.mark.contract("TT-61", "TT-66", "TRAIN-75")
def test_a_failure_file_of_the_program_stays_and_one_of_an_earlier_job_does_not(job):
    job.failure_file.parent.mkdir()
    job.failure_file.write_text("of an earlier job")
    assert job.run("raise ValueError('new')")[0] == 1
    assert job.reason == "ValueError: new"
    assert job.run(f"open({str(job.failure_file)!r}, 'w').write('own'); raise ValueError('hidden')")[0] == 1
    assert job.reason == "own"
    assert job.run("")[0] == 0
    assert not job.failure_file.exists()
    assert (job.base / "output" / "success").exists()


@pytest.mark.contract("TT-18")
def test_a_training_module_is_called_with_the_jobs_variables(job, tmp_path):
    (job.base / "code" / "framework.py").write_text(
        "import os\ndef train():\n    print(os.environ['SM_HP_EPOCHS'])\n    raise ValueError('told')\n"
    )
    code, output, _ = job.run(
        None, hyperparameters={"epochs": "10"}, SAGEMAKER_TRAINING_MODULE="framework:train"
    )
    assert output.endswith(b"10\n")
    assert code == 1
    assert job.reason == "ValueError: told"


@pytest.mark.contract("TT-18")
def test_a_training_module_without_a_function_is_refused(job):
    assert job.run(None, SAGEMAKER_TRAINING_MODULE="framework")[0] == 1
    assert "package.module:function" in job.reason


@pytest.mark.parametrize(
    ("engine", "words"),
    [("sagemaker-training", "pip install sagemaker-training"), ("other", "neither native nor")],
)
def test_an_engine_that_is_not_there_is_named(job, engine, words):
    assert job.run("", OPT_ML_TRAINING_ENGINE=engine)[0] == 1
    assert words in job.reason


@pytest.mark.contract("TRAIN-24", "TT-03")
def test_an_s3_source_without_credentials_is_one_line(job):
    environment = {name: "" for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"}
    code, _, _ = job.run(
        None,
        hyperparameters={"sagemaker_submit_directory": '"s3://bucket/key.tar.gz"'},
        SAGEMAKER_PROGRAM="train.py",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_SHARED_CREDENTIALS_FILE="/nonexistent",
        AWS_CONFIG_FILE="/nonexistent",
        **environment,
    )
    assert code == 1
    assert "s3://bucket/key.tar.gz" in job.reason
    assert "redentials" in job.reason
    assert "Traceback" not in job.failure_file.read_text()


def test_python_is_that_of_train_itself(job):
    _, output, _ = job.run("import sys; print(sys.executable)")
    assert output.decode().splitlines()[-1] == sys.executable
