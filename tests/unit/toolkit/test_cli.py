import json
import subprocess
import sys

import pytest

from toolkit import cli
from toolkit.building.images import ROOT
from toolkit.errors import ToolkitError, WorkError
from toolkit.namespace import LOCAL_NAMESPACE


def test_every_command_says_what_it_does(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for command in ("build", "doctor", "invoke", "list", "lock", "serve", "train", "demo"):
        assert f"\n    {command} " in shown


def test_help_imports_nothing_heavy():
    probe = (
        "import sys; from toolkit import cli; cli.build_parser().format_help();"
        "print(sorted({'docker', 'pydantic', 'boto3', 'requests'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


def test_a_plan_is_shown_without_building(capsys):
    assert cli.main(["build", "ensemble-cpu", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert [step["name"] for step in plan] == ["base-slim", "ensemble-cpu"]


def test_an_unknown_image_is_an_error_with_a_cure_and_no_traceback(capsys):
    assert cli.main(["build", "ensembel-cpu"]) == 2
    shown = capsys.readouterr().err
    assert "there is no image called 'ensembel-cpu'" in shown
    assert "Did you mean ensemble-cpu?" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("call", "said", "cure"),
    [
        (["trian", "ensemble-cpu"], "no command 'trian'", "Did you mean train?"),
        (
            ["train", "ensemble-cpu", "--chanel", "train=x"],
            "--chanel is not known",
            "Did you mean --channel?",
        ),
        (["train", "ensemble-cpu", "--chanel=train=x"], "--chanel=train=x", "Did you mean --channel?"),
        (["serve", "ensemble-cpu", "--zzz"], "--zzz is not known", "`./build.py serve --help` lists all."),
    ],
)
def test_a_mistyped_command_or_option_is_named_with_its_nearest(capsys, call, said, cure):
    assert cli.main(call) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert cure in shown
    assert "usage:" not in shown


def test_a_missing_argument_is_told_in_two_lines(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["tune", "ensemble-cpu", "--objective", "loss"])
    assert caught.value.code == 2
    said, cure = capsys.readouterr().err.splitlines()
    assert said == "error: one of the arguments --minimize --maximize is required"
    assert "`./build.py tune --help`" in cure


def test_a_job_without_hosts_is_refused(capsys):
    assert cli.main(["train", "ensemble-cpu", "--hosts", "0"]) == 2
    assert capsys.readouterr().err.startswith("error: A job has at least one host, not 0.\n")


def test_list_gives_json_with_names_and_local_references(capsys):
    assert cli.main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"base-slim", "ensemble-cpu"} <= {row["name"] for row in rows}
    assert {row["end_of_support"] for row in rows if row["base_kind"] == "slim"} == {"2028-06-30"}
    assert all(row["image"].startswith(f"{LOCAL_NAMESPACE}/") for row in rows)


def test_a_reader_that_has_seen_enough_causes_no_traceback():
    command = f"{sys.executable} build.py list --json | true"
    shown = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stderr == ""


@pytest.mark.parametrize(("kind", "code"), [(ToolkitError, 2), (WorkError, 1)])
def test_a_failed_work_and_a_wrong_call_differ_in_the_exit_code(monkeypatch, capsys, kind, code):
    def fail(arguments):
        raise kind("no such thing", "make it")

    monkeypatch.setattr(cli.import_module("toolkit.commands.list_"), "run", fail)
    assert cli.main(["list"]) == code
    assert capsys.readouterr().err == "error: no such thing\n  make it\n"


def test_what_the_machine_refuses_is_one_line_and_no_traceback(capsys):
    name = "x" * 5000  # longer than any file system takes
    assert cli.main(["train", "some-image:latest", "--channel", f"train={name}", "--dry-run"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert "File name too long" in shown
    assert "Traceback" not in shown
