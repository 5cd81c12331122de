"""Faults of our own `train` with a user's script."""

from typing import Any


def deaf_parent() -> None:
    """SIGTERM ends `train`, and the script hears nothing of it."""
    from opt_ml.training.script import process

    process.FORWARDED = ()


def unnamed_pip_failure() -> None:
    """The reason of a failed installation is that there was one."""
    from opt_ml import pip

    pip.explain = lambda *facts: pip.InstallError("pip failed.", "")


def any_program_name() -> None:
    """A program may lie anywhere."""
    from opt_ml.training.script import program

    program.check_name = lambda name: None


def words_of_a_shell() -> None:
    """A shell reads the arguments of a shell script once more."""
    from opt_ml.training.script import program

    def command_line(name: str, kind: str, arguments: list[str]) -> list[str]:
        if kind == program.COMMAND:
            return ["/bin/sh", "-c", " ".join([f"./{name}", *arguments])]
        return usual(name, kind, arguments)

    usual, program.command_line = program.command_line, command_line


def failure_without_cause() -> None:
    """The reason of a failed script is its exit code."""
    from opt_ml.training.script import run

    def describe(name: str, ended: Any) -> str:
        return f"{name} ended with exit code {ended.exit_code}."

    run.describe = describe


def prints_passwords() -> None:
    """The log has the command with everything that is secret in it."""
    from opt_ml.training.script import run

    run.masked = dict
