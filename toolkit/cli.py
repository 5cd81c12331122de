"""The command line: finds the command's module, and turns errors into text and an exit code.

Exit codes: 0 done; 1 the work failed (a build, a job, a test); 2 the call or the machine is not as it
must be; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NoReturn

from toolkit import commands
from toolkit.errors import ToolkitError


class _Parser(argparse.ArgumentParser):
    """An error is one line and where to read on: the usage of `train` alone fills a screen."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n  `./{self.prog} --help` lists all.\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser with one sub-command for each module of `toolkit.commands`."""
    parser = _Parser(prog="build.py", description="SageMaker containers: build, train, serve, invoke.")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in _commands().items():
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run, parser=subparser)
    return parser


def _commands() -> dict[str, Any]:
    return {
        info.name.rstrip("_").replace("_", "-"): import_module(f"{commands.__name__}.{info.name}")
        for info in iter_modules(commands.__path__)
    }


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse, and name the nearest to a word that is not known: argparse shows the whole usage instead.

    Raises:
        ToolkitError: an unknown command or option.
    """
    if arguments and arguments[0][0:1] not in ("", "-") and arguments[0] not in _commands():
        raise ToolkitError(
            f"there is no command {arguments[0]!r}.",
            _nearest(arguments[0], list(_commands())) + "`./build.py --help` lists all.",
        )
    parsed, unknown = build_parser().parse_known_args(arguments)
    if unknown:
        parser: argparse.ArgumentParser = parsed.parser
        options = [option for action in parser._actions for option in action.option_strings]
        raise ToolkitError(
            f"{unknown[0]} is not known here.",
            _nearest(unknown[0].partition("=")[0], options) + f"`./{parser.prog} --help` lists all.",
        )
    return parsed


def _nearest(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]}? " if near else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        parsed = _parse(sys.argv[1:] if arguments is None else arguments)
        exit_code = int(parsed.run(parsed))
        sys.stdout.flush()  # here and not at exit, so that a closed pipe is seen below
        return exit_code
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; the interpreter's own flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # A full disk, a directory that may not be read, an engine that went away: no fault of this program.
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        return ToolkitError.exit_code
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
