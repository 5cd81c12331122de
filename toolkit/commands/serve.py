"""`serve`: run a SageMaker endpoint on this machine, in the foreground."""

from __future__ import annotations

import argparse

HELP = "Serve a model on this machine, as a SageMaker endpoint would."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The image, its model and where it listens."""
    parser.add_argument(
        "image", help="an image of this repository (ensemble-cpu), or any local image reference"
    )
    parser.add_argument(
        "--model",
        metavar="PATH",
        help="a model.tar.gz or a directory (default: the newest completed job of the image)",
    )
    parser.add_argument(
        "--jobs", default="jobs", metavar="DIR", help="where the default model is looked for (jobs)"
    )
    parser.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1; 0 for any free one (8080)")
    parser.add_argument(
        "--environment", action="append", default=[], metavar="NAME=VALUE", help="(repeatable)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the docker run line and stop")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C (0) or until the container ends by itself (1)."""
    import shlex
    import sys
    from pathlib import Path

    from toolkit.artifacts import newest_model
    from toolkit.endpoint import Endpoint
    from toolkit.images import local_reference
    from toolkit.interrupts import terminate_like_interrupt
    from toolkit.options import parse_pairs

    terminate_like_interrupt()
    image = local_reference(arguments.image)
    model = Path(arguments.model) if arguments.model else newest_model(Path(arguments.jobs), image)
    endpoint = Endpoint(
        image,
        model,
        environment=parse_pairs("--environment", arguments.environment),
        port=arguments.port or None,
        on_line=lambda line: print(line, flush=True),
    )
    if arguments.dry_run:
        directory = model.absolute()
        if model.is_file():
            directory = Path.cwd() / "model"
            print(shlex.join(["mkdir", str(directory)]))
            print(shlex.join(["tar", "-xzf", str(model), "-C", str(directory)]))
        print(endpoint.spec(directory).command_line())
        return 0
    print(f"Serving {model} with {image}", flush=True)
    with endpoint:
        print(f"Ready in {endpoint.started_in:.1f} s at {endpoint.url}; Ctrl-C stops it. Try:", flush=True)
        request = "curl -H 'Content-Type: text/csv' --data-binary @FILE"
        print(f"  {request} {endpoint.url}/invocations", flush=True)
        try:
            exit_code = endpoint.wait()
        except KeyboardInterrupt:
            print("Stopping: SIGTERM now, SIGKILL in 30 s.", flush=True)
            stop = endpoint.stop()
            how = "ended by itself" if stop.by_itself else "had to be killed"
            print(f"Stopped in {stop.duration:.1f} s: the container {how}, exit code {stop.exit_code}.")
            return 0
    print(f"error: the container ended by itself, exit code {exit_code}.", file=sys.stderr)
    return 1
