"""`invoke`: send one request to an endpoint on this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.endpoint import Response

HELP = "Send a payload to an endpoint on this machine and print the answer."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to send, what to send, and what to ask for."""
    parser.add_argument(
        "image", nargs="?", help="start an endpoint of this image for one request (default: use --url)"
    )
    parser.add_argument(
        "--model", metavar="PATH", help="with IMAGE: its model (default: of its newest completed job)"
    )
    parser.add_argument(
        "--jobs", default="jobs", metavar="DIR", help="where the default model is looked for (jobs)"
    )
    parser.add_argument("--environment", action="append", default=[], metavar="NAME=VALUE", help="with IMAGE")
    parser.add_argument(
        "--url", default="http://127.0.0.1:8080", help="a running endpoint (http://127.0.0.1:8080)"
    )
    parser.add_argument(
        "--payload", required=True, metavar="FILE", help="the request's body; - for standard input"
    )
    parser.add_argument(
        "--content-type", default="text/csv", metavar="TYPE", help="of the payload (text/csv)"
    )
    parser.add_argument(
        "--accept", metavar="TYPE", help="what the answer should be (default: the container's choice)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print status, content type and body as one JSON object"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the answer; 1 where SageMaker would raise ModelError."""
    import sys
    from pathlib import Path

    from toolkit.artifacts import newest_model
    from toolkit.endpoint import Endpoint
    from toolkit.http_client import invoke
    from toolkit.images import local_reference
    from toolkit.interrupts import terminate_like_interrupt
    from toolkit.options import parse_pairs, read_payload

    terminate_like_interrupt()
    body = read_payload(arguments.payload)
    if not arguments.image:
        return _show(invoke(arguments.url, body, arguments.content_type, arguments.accept), arguments.json)
    image = local_reference(arguments.image)
    model = Path(arguments.model) if arguments.model else newest_model(Path(arguments.jobs), image)
    print(f"Starting {image} with {model} ...", file=sys.stderr, flush=True)
    with Endpoint(image, model, environment=parse_pairs("--environment", arguments.environment)) as endpoint:
        response = endpoint.invoke(body, arguments.content_type, arguments.accept)
    return _show(response, arguments.json)


def _show(response: Response, as_json: bool) -> int:
    import json
    import sys

    ok = 200 <= response.status < 300
    if as_json:
        document = {"status": response.status, "content_type": response.headers.get("content-type")}
        print(json.dumps({**document, "body": response.text}, indent=2))
    elif ok:
        sys.stdout.buffer.write(response.body)
        if sys.stdout.isatty() and not response.body.endswith(b"\n"):
            print()
        sys.stdout.flush()
    if not ok:
        # HOST-54: status 424 for the client, and at most 2048 characters of the body
        print(
            f"error: the container answered {response.status}; SageMaker raises ModelError (HTTP 424):\n"
            f"  OriginalStatusCode: {response.status}\n  OriginalMessage: {response.text[:2048].rstrip()}",
            file=sys.stderr,
        )
    return 0 if ok else 1
