"""One training job by the user's program, from its source to its exit code."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from opt_ml.environment import Environment
from opt_ml.errors import UserError
from opt_ml.training.failure import explain, write_failure
from opt_ml.training.script import launchers, program, variables
from opt_ml.training.script.arguments import can_be_passed, check_arguments, masked, to_arguments
from opt_ml.training.script.cause import describe, readable_lines
from opt_ml.training.script.hosts import wait_for_hosts
from opt_ml.training.script.process import FORWARDED, Ended, run_process

_TOOLKIT_MODULE = "sagemaker_training.cli.train"
_LONGEST = 128 * 1024  # bytes that Linux takes as one argument or variable, its final zero included


class Start(NamedTuple):
    """A program that is ready to be started.

    Attributes:
        name: what the user calls it.
        command: program and arguments.
        shown: the command for people, without secrets (TRAIN-27).
        directory: its working directory.
        variables: its whole environment.
    """

    name: str
    command: list[str]
    shown: str
    directory: Path
    variables: dict[str, str]


def run(environment: Environment) -> int:
    """Run the program and leave `success` or `failure` (TT-60, TT-61); the program's exit code (TRAIN-76)."""
    try:
        module = os.environ.get(program.MODULE_VARIABLE)
        start = _prepare_module(module, environment) if module else _prepare_program(environment)
        if variables.is_talkative(environment):
            print(f"Running {start.shown}", flush=True)
        ended = run_process(start.command, str(start.directory), start.variables)
    except UserError as error:
        return _report(error, environment)
    except OSError as error:
        return explain(UserError(f"The program cannot be started: {error}."), environment.failure_file)
    for number in FORWARDED:  # how the job went is decided
        signal.signal(number, signal.SIG_IGN)
    return _finish(start, ended, environment)


def run_toolkit() -> None:
    """Become `sagemaker-training`, in this process, so that it is PID 1 as in its own images.

    Raises:
        UserError: it is not installed.
    """
    if not launchers.has_package("sagemaker_training"):
        raise UserError(
            "OPT_ML_TRAINING_ENGINE is sagemaker-training, and this image does not have it. Install it in "
            "the image (pip install sagemaker-training, which needs gcc), or leave the variable out."
        )
    os.execv(sys.executable, [sys.executable, "-m", _TOOLKIT_MODULE])  # noqa: S606


def _prepare_program(environment: Environment) -> Start:
    name = program.chosen_program(environment) or ""
    program.check_name(name)
    check_arguments(environment.hyperparameters)
    distribution = launchers.chosen_distribution(environment)
    if distribution == launchers.MPI:
        launchers.check_mpi()
        run_toolkit()
    if environment.reserved.get("sagemaker_s3_output"):  # TT-65
        print("Files of output/intermediate stay here: only the engine sagemaker-training uploads them.")
    from opt_ml.training.script.source import bring_code

    bring_code(environment)
    code_dir = environment.code_dir
    kind = program.kind_of(name, code_dir)
    program.locate(name, kind, code_dir)
    if kind == program.PACKAGE or (code_dir / "requirements.txt").exists():
        from opt_ml.training.script.requirements import install

        install(kind, code_dir)
    wait_for_hosts(environment.hosts)
    values = _whole_environment(environment)
    if distribution == launchers.TORCH:
        launcher = launchers.torchrun(environment, name, kind)
        values |= launchers.torch_variables(environment)
    else:
        launcher = []

    def command(hyperparameters: dict[str, object]) -> list[str]:
        arguments = to_arguments(hyperparameters)
        return [*launcher, *arguments] if launcher else program.command_line(name, kind, arguments)

    shown = " ".join(command(masked(environment.hyperparameters)))
    return Start(name, command(dict(environment.hyperparameters)), shown, code_dir, values)


def _prepare_module(module: str, environment: Environment) -> Start:
    if module.count(":") != 1 or not all(module.split(":")):
        raise UserError(f"{program.MODULE_VARIABLE}={module} is not package.module:function.")
    command = [sys.executable, "-m", "opt_ml.training.script.framework", module]
    directory = environment.code_dir if environment.code_dir.is_dir() else Path.cwd()
    return Start(module, command, " ".join(command), directory, _whole_environment(environment))


def _whole_environment(environment: Environment) -> dict[str, str]:
    """This process's environment and the job's variables; what cannot be one is left out and named."""
    values = dict(os.environ)
    for name, value in variables.program_variables(environment).items():
        entry = f"{name}={value}"
        if "=" in name or not can_be_passed(entry):
            reason = "it holds a character that no environment variable can hold"
        elif len(os.fsencode(entry)) >= _LONGEST:
            reason = f"it is longer than the {_LONGEST} bytes that Linux allows"
        else:
            values[name] = value
            continue
        print(f"The variable {name!r} is left out: {reason}.", file=sys.stderr)
    return values


def _finish(start: Start, ended: Ended, environment: Environment) -> int:
    if ended.exit_code == 0:
        output = environment.failure_file.parent
        try:
            output.mkdir(parents=True, exist_ok=True)
            (output / "success").touch()
        except OSError as error:  # the model is what counts, and it is there
            print(f"{output / 'success'} could not be written: {error}", file=sys.stderr)
        return 0
    if ended.stopped and ended.exit_code in {128 + number for number in FORWARDED}:
        print(f"Stopped: {start.name} ended by the signal that it was sent.", file=sys.stderr)
        return ended.exit_code
    cause = describe(start.name, ended)
    print(f"Failed with exit code {ended.exit_code}: {cause}", file=sys.stderr)
    if not environment.failure_file.exists():  # what the program wrote itself stays (TT-61, TT-66)
        tail = "\n".join(readable_lines(ended.stderr)[-50:]).strip()
        details = f'ExecuteUserScriptError: ExitCode {ended.exit_code}\nCommand "{start.shown}"\n\n{tail}'
        write_failure(environment.failure_file, cause, details)
    return ended.exit_code


def _report(error: UserError, environment: Environment) -> int:
    """The failure file; the details of an installation have been in the log already."""
    details = getattr(error, "details", "")
    if not details:
        return explain(error, environment.failure_file)
    print(error, file=sys.stderr)
    write_failure(environment.failure_file, str(error), details)
    return 1
