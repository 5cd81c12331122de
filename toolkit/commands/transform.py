"""`transform`: run a SageMaker batch transform job on this machine."""

from __future__ import annotations

import argparse
from typing import Any

HELP = "Transform files by a model on this machine, as a batch transform job would."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a CreateTransformJob request says."""
    from toolkit.hosting import arguments

    arguments.add_model_arguments(parser)
    parser.add_argument("--input", required=True, metavar="PATH", help="a file, or a directory of files")
    parser.add_argument(
        "--output", required=True, metavar="DIR", help="where NAME.out is written for each NAME"
    )
    parser.add_argument("--content-type", metavar="TYPE", help="of the requests, such as text/csv")
    parser.add_argument("--accept", metavar="TYPE", help="what the answers should be")
    _add_batching(parser.add_argument_group("records and requests"))
    _add_processing(parser.add_argument_group("records beside their predictions"))
    group = parser.add_argument_group("the container")
    group.add_argument("--isolated", "--network-isolation", action="store_true", help="no network at all")
    group.add_argument(
        "--startup-timeout", type=int, metavar="SECONDS", help="until /ping must be 200: 60 to 3600 (480)"
    )
    parser.add_argument("--verbose", action="store_true", help="print the container's log, too")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, progress on stderr")


def _add_batching(group: Any) -> None:
    from toolkit.transform.settings import COMPRESSION_TYPES, SPLIT_TYPES, STRATEGIES

    add = group.add_argument
    add("--compression-type", choices=COMPRESSION_TYPES, default="None", help="of the input files (None)")
    add(
        "--split-type", choices=SPLIT_TYPES, default="None", help="what ends a record (None: the file is one)"
    )
    add(
        "--strategy",
        choices=STRATEGIES,
        help="records in a request (default: the container's, or MultiRecord)",
    )
    add("--assemble-with", choices=("None", "Line"), default="None", help="what ends an answer (None)")
    add(
        "--max-payload",
        type=int,
        metavar="MB",
        help="of a request; 0: no limit, chunked (the container's, or 6)",
    )
    add("--max-concurrent", type=int, metavar="N", help="requests at once (default: the container's, or 1)")
    add("--timeout", type=int, default=600, metavar="SECONDS", help="for one answer: 1 to 3600 (600)")
    add("--max-retries", type=int, default=3, metavar="N", help="further tries of a request: 0 to 3 (3)")


def _add_processing(group: Any) -> None:
    add = group.add_argument
    add(
        "--join-source",
        choices=("None", "Input"),
        default="None",
        help="Input: each record beside its result",
    )
    add("--input-filter", default="$", metavar="JSONPATH", help="what of a record is sent, such as $[1:] ($)")
    add(
        "--output-filter",
        default="$",
        metavar="JSONPATH",
        help="what of a result is kept, such as $[0,-1] ($)",
    )


def run(arguments: argparse.Namespace) -> int:
    """0 when every file has its output; 1 when one failed."""
    import sys

    from toolkit.interrupts import terminate_like_interrupt
    from toolkit.transform.job import execute

    terminate_like_interrupt()
    progress = sys.stderr if arguments.json else sys.stdout

    def say(line: str) -> None:
        print(line, file=progress, flush=True)

    job = job_of(arguments)
    say(f"Transforming {job.source} with {job.image} and {job.model or 'no model'}")
    result = execute(job, say, say if arguments.verbose else lambda _: None)
    print(result.as_json() if arguments.json else result.summary(), flush=True)
    if result.failed:
        count = f"{len(result.failed)} of {len(result.files)} files"
        print(f"error: {count} failed and have no output; SageMaker ends the job as Failed.", file=sys.stderr)
        return 1
    return 0


def job_of(arguments: argparse.Namespace) -> Any:
    """The `TransformJob` that the arguments describe."""
    from pathlib import Path

    from toolkit.hosting.arguments import environment_of, model_of, single_image, startup_limit
    from toolkit.transform.json_path import parse
    from toolkit.transform.settings import TransformJob

    image = single_image(arguments)
    return TransformJob(
        image=image,
        model=model_of(arguments, image, arguments.model[0] if arguments.model else None),
        source=Path(arguments.input),
        destination=Path(arguments.output),
        content_type=arguments.content_type,
        accept=arguments.accept,
        compression_type=arguments.compression_type,
        split_type=arguments.split_type,
        strategy=arguments.strategy,
        assemble_with=arguments.assemble_with,
        max_payload=arguments.max_payload,
        max_concurrent=arguments.max_concurrent,
        join_source=arguments.join_source,
        input_filter=parse("--input-filter", arguments.input_filter),
        output_filter=parse("--output-filter", arguments.output_filter),
        environment=environment_of(arguments),
        timeout=arguments.timeout,
        max_retries=arguments.max_retries,
        isolated=arguments.isolated,
        start_limit=startup_limit(arguments) or 480.0,
    )
