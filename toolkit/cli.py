"""The command line: finds the command's module, and turns errors into text and an exit code.

Exit codes: 0 done; 1 the work failed (a build, a job, a test); 2 the call or the machine is not as it
must be; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from toolkit import commands
from toolkit.errors import ToolkitError


def build_parser() -> argparse.ArgumentParser:
    """The parser with one sub-command for each module of `toolkit.commands`."""
    parser = argparse.ArgumentParser(
        prog="build.py", description="SageMaker containers: build, train, serve, invoke."
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module_info in iter_modules(commands.__path__):
        module = import_module(f"{commands.__name__}.{module_info.name}")
        name = module_info.name.rstrip("_").replace("_", "-")
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parsed = build_parser().parse_args(arguments)
    try:
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
