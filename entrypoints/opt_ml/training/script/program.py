"""Which program a job names, and how a program of its kind is started."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from shlex import quote

from opt_ml.environment import Environment
from opt_ml.errors import UserError

PROGRAM_VARIABLE = "SAGEMAKER_PROGRAM"
MODULE_VARIABLE = "SAGEMAKER_TRAINING_MODULE"

COMMAND, PACKAGE, SCRIPT = "command", "package", "script"  # TT-09

_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")  # TT-20


def chosen_program(environment: Environment) -> str | None:
    """The program's name: the variable wins over the hyperparameter (TT-02); None for a job without one."""
    named = environment.reserved.get("sagemaker_program")
    return os.environ.get(PROGRAM_VARIABLE) or (None if named is None else str(named))


def check_name(name: str) -> None:
    """A program is named by a plain path inside the source directory (TT-20).

    Raises:
        UserError: it is empty, absolute, climbs out, or holds characters that a shell or Python would read
            as more than a name.
    """
    cure = "Name a file of the source directory by letters, digits and . _ + - /, such as train.py."
    if not name:
        raise UserError(f"The program's name (sagemaker_program) is empty. {cure}")
    if not _NAME.fullmatch(name) or any(part in (".", "..") for part in name.split("/")):
        raise UserError(f"The program {name!r} (sagemaker_program) cannot be used. {cure}")


def kind_of(name: str, code_dir: Path) -> str:
    """COMMAND, PACKAGE or SCRIPT (TT-09).

    A pyproject.toml makes a package too where it says how it is built: many hold only a linter's settings.
    """
    if name.endswith(".sh"):
        return COMMAND
    if (code_dir / "setup.py").exists() or _is_buildable(code_dir / "pyproject.toml"):
        return PACKAGE
    return SCRIPT if name.endswith(".py") else COMMAND


def _is_buildable(pyproject: Path) -> bool:
    if not pyproject.exists():
        return False
    import tomllib

    try:
        return "build-system" in tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{pyproject} is not valid TOML ({error}). Mend it, or leave it out.") from None


def locate(name: str, kind: str, code_dir: Path) -> None:
    """Make sure that the program is there, and that a command can be executed (TT-12).

    Raises:
        UserError: there is no such file, or a link leads out of the source directory (TT-20).
    """
    path = code_dir / name
    if kind == PACKAGE:
        return  # a module of the installed package, maybe not a file of this directory
    if not path.is_file():
        found = sorted(entry.name for entry in code_dir.iterdir()) if code_dir.is_dir() else []
        listing = ", ".join(found[:10]) + (", ..." if len(found) > 10 else "")
        raise UserError(
            f"The program {name} is not in {code_dir}, which "
            + (f"holds {listing}. " if found else "is empty. ")
            + "Set sagemaker_program (entry_point) to a file of the source directory."
        )
    if not path.resolve().is_relative_to(code_dir.resolve()):
        raise UserError(
            f"The program {name} is a link out of {code_dir}. Name a file of the source directory."
        )
    if kind == COMMAND:
        path.chmod(0o777)


def command_line(name: str, kind: str, arguments: list[str]) -> list[str]:
    """What is executed in the source directory (TT-10 to TT-13, TT-23)."""
    if kind == PACKAGE:
        return [sys.executable, "-m", name.removesuffix(".py"), *arguments]
    if kind == SCRIPT:
        return [sys.executable, "--", name, *arguments]
    return ["/bin/sh", "-c", f"./{quote(name)} {' '.join(quote(argument) for argument in arguments)}"]
