"""`verify`: does an image, ours or not, honour the SageMaker container contract?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.verify.profiles import Given
    from toolkit.verify.results import Verification
    from toolkit.verify.verification import Asked

HELP = "Check any image against the SageMaker container contract; says what breaks and what mends it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The image, what to try it with, which rules, and where the report goes."""
    add = parser.add_argument
    add("image", help="a name of ours, a local reference, or one in a registry, which is pulled")
    _add_image(parser.add_argument_group("what the image is tried with"))
    _add_choice(parser.add_argument_group("which rules"))
    _add_output(parser.add_argument_group("the report"))


def _add_image(group: argparse._ArgumentGroup) -> None:
    from toolkit.jobs import channel_option

    add = group.add_argument
    add("--model", metavar="PATH", help="model.tar.gz or directory to serve (default: what the image trains)")
    add(
        "--channel",
        action="append",
        default=[],
        metavar=channel_option.SYNTAX,
        help="training data (repeatable; default: CSV of four numbers and a label as `train`, `validation`)",
    )
    add("--hyperparameter", action="append", default=[], metavar="NAME=VALUE", help="as text (repeatable)")
    add("--hyperparameters", metavar="FILE.json", help="a JSON object; --hyperparameter overrides it")
    add(
        "--payload",
        metavar="FILE",
        help="one good request, - for stdin (default: CSV lines of four numbers)",
    )
    add("--content-type", default="", metavar="TYPE", help="of the payload (text/csv)")
    add("--accept", default="", metavar="TYPE", help="of the answers (default: left to the image)")
    add(
        "--profile",
        default="",
        metavar="NAME",
        help="one of tests/conformance/profiles, or a TOML file like them (default: what fits)",
    )
    only = group.add_mutually_exclusive_group()
    only.add_argument("--train-only", action="store_true", help="the image is not there to serve")
    only.add_argument("--serve-only", action="store_true", help="the image is not there to train")
    add("--start-limit", default="2m", metavar="TIME", help="until /ping must be 200 (2m; SageMaker: 8m)")
    add("--job-limit", default="10m", metavar="TIME", help="until a job must have ended (10m)")


def _add_choice(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--level", choices=["must", "should", "may"], default="should", help="and those above it (should)")
    add(
        "--only",
        action="append",
        default=[],
        metavar="HOST",
        help="a section of the contract, or one rule such as HOST-30 (repeatable)",
    )
    add("--workers", type=int, metavar="N", help="tests at one time (two a CPU, at most 8)")


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--json", action="store_true", help="print the result as JSON; the rest goes to stderr")
    add("--html", metavar="FILE", help="a page to read, and to send to a colleague")
    add("--junit", metavar="FILE", help="JUnit's XML, which CI systems show")
    add("--badge", metavar="FILE", help="an SVG for a README")


def run(arguments: argparse.Namespace) -> int:
    """Verify; 0 when no MUST is broken, 1 when one is, 2 when the tests cannot be run."""
    import json
    import sys

    from toolkit.bootstrap import install_extra
    from toolkit.interrupts import end_at_the_first
    from toolkit.verify import suite

    end_at_the_first()
    asked = _describe(arguments)
    install_extra(suite.LOCK, *suite.PACKAGES)
    from toolkit.verify import verification
    from toolkit.verify.view import View

    progress = sys.stderr if arguments.json else sys.stdout
    print(f"Verifying {asked.image}", file=progress, flush=True)
    examined = verification.examine(asked, lambda line: print(line, file=progress, flush=True))
    with View(progress) as view:
        view.claims(examined.facts, examined.claims)
        result = verification.verify(asked, examined, view)
    view.report(result, _write_files(arguments, result))
    if arguments.json:
        print(json.dumps(result.as_document(), indent=2))
    return 1 if result.honours is False else 0


def _write_files(arguments: argparse.Namespace, result: Verification) -> list[str]:
    """Write what was asked for; a line for each file."""
    from pathlib import Path

    from toolkit.verify.documents import write_badge, write_junit
    from toolkit.verify.report import write_report

    asked = {
        "Report": (arguments.html, write_report),
        "JUnit": (arguments.junit, write_junit),
        "Badge": (arguments.badge, write_badge),
    }
    lines = []
    for name, (path, write) in asked.items():
        if path:
            Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
            write(Path(path), result)
            lines.append(f"{name}: {path}")
    return lines


def _describe(arguments: argparse.Namespace) -> Asked:
    import os

    from toolkit.building.images import local_reference, matrix
    from toolkit.errors import ToolkitError
    from toolkit.jobs.options import parse_seconds
    from toolkit.verify.contract import chosen
    from toolkit.verify.verification import Asked

    image = arguments.image
    if not image:  # an input of a workflow that nobody gave
        raise ToolkitError("No image is named.", "Name one of ours, a local one, or one in a registry.")
    only = tuple(dict.fromkeys(arguments.only))
    chosen(only)  # a word that is no rule is refused before anything is read or pulled
    return Asked(
        image=local_reference(image) if image in matrix() else image,
        given=_given(arguments),
        level=arguments.level,
        only=only,
        workers=arguments.workers or min(8, 2 * (os.cpu_count() or 1)),
        start_limit=parse_seconds("--start-limit", arguments.start_limit),
        job_limit=parse_seconds("--job-limit", arguments.job_limit),
    )


def _given(arguments: argparse.Namespace) -> Given:
    """What the caller says of the image."""
    from pathlib import Path

    from toolkit.jobs.channel_option import parse_channels
    from toolkit.jobs.options import parse_pairs, read_hyperparameters, read_payload
    from toolkit.verify.profiles import Given

    values = arguments.hyperparameters
    channels = parse_channels(arguments.channel)
    return Given(
        profile=arguments.profile,
        model=_lasting("--model", Path(arguments.model)) if arguments.model else None,
        channels={one.name: _lasting(f"--channel {one.name}", Path(str(one.source))) for one in channels},
        hyperparameters={
            **(read_hyperparameters(Path(values)) if values else {}),
            **parse_pairs("--hyperparameter", arguments.hyperparameter),
        },
        payload=read_payload(arguments.payload, "--payload") if arguments.payload else None,
        content_type=arguments.content_type,
        accept=arguments.accept,
        only="train" if arguments.train_only else "serve" if arguments.serve_only else "",
    )


def _lasting(option: str, path: Path) -> Path:
    """The path of a file or directory, which many containers look at; a pipe can be read only once."""
    from toolkit.errors import ToolkitError

    if path.is_file() or path.is_dir():
        return path
    if path.exists():
        raise ToolkitError(
            f"{option}: {path} is no file and no directory, and many tests read it.",
            "Write it to a file, and name this one.",
        )
    raise ToolkitError(f"{option}: there is no {path}.", "Name a file or directory that exists.")
