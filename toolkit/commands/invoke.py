"""`invoke`: send requests to an endpoint on this machine."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.hosting.api_errors import ApiError
    from toolkit.hosting.client import Call, EndpointClient
    from toolkit.serving.http_client import Response

_URL = "http://127.0.0.1:8080"
# Options that mean nothing for an endpoint that runs already.
_OF_CONTAINER = (
    *("model", "environment", "env_file", "isolated", "read_only", "user", "cpus", "memory"),
    *("startup_timeout", "serverless", "max_concurrency", "multi_model", "no_model_cache", "direct"),
)
_SHOWN = ("OriginalStatusCode", "ErrorCode")  # of an error; its message is shown before

HELP = "Send a payload to an endpoint on this machine and print the answer."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to send, what to send, and what to ask for."""
    from toolkit.hosting import arguments

    arguments.add_model_arguments(parser)
    parser.add_argument("--url", help=f"without IMAGE: a running endpoint ({_URL})")
    _add_payload(parser)
    parser.add_argument("--target-model", metavar="NAME", help="of a multi-model endpoint")
    parser.add_argument("--target-container", metavar="NAME", help="of an endpoint in direct mode")
    parser.add_argument("--stream", action="store_true", help="print the parts of the answer as they come")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="send it N times, print latencies")
    parser.add_argument(
        "--concurrency", type=int, default=1, metavar="N", help="with --repeat: so many at once (1)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print status, content type and body as one JSON object"
    )
    parser.add_argument("--name", metavar="ENDPOINT", help=argparse.SUPPRESS)
    arguments.add_container_arguments(parser.add_argument_group("with IMAGE: its container"))
    arguments.add_kind_arguments(parser.add_argument_group("with IMAGE: other kinds of endpoint"))


def _add_payload(parser: argparse.ArgumentParser) -> None:
    payload = parser.add_mutually_exclusive_group(required=True)
    payload.add_argument(
        "--body", "--payload", metavar="FILE", help="the request's body; - for standard input"
    )
    payload.add_argument("--text", help="the request's body itself")
    parser.add_argument(
        "--content-type", default="text/csv", metavar="TYPE", help="of the payload; empty for none (text/csv)"
    )
    parser.add_argument(
        "--accept", metavar="TYPE", help="what the answer should be (default: the container's choice)"
    )
    parser.add_argument("--custom-attributes", metavar="TEXT", help="handed on to the container")
    parser.add_argument("--inference-id", metavar="ID", help="handed on to the container")
    parser.add_argument("--session-id", metavar="ID", help="of a stateful session; NEW_SESSION for a new one")


def run(arguments: argparse.Namespace) -> int:
    """Print the answer; 1 where the API answers with an error."""
    import sys

    from toolkit.hosting.arguments import endpoint_config
    from toolkit.hosting.client import Call, EndpointClient
    from toolkit.hosting.local_endpoint import LocalEndpoint
    from toolkit.interrupts import terminate_like_interrupt
    from toolkit.jobs.options import read_payload

    terminate_like_interrupt()
    _refuse_combinations(arguments)
    names = ("accept", "custom_attributes", "inference_id", "session_id", "target_model", "target_container")
    call = Call(
        arguments.text.encode() if arguments.text is not None else read_payload(arguments.body),
        arguments.content_type or None,
        **{name: getattr(arguments, name) for name in names},
    )
    if not (arguments.image or arguments.pipeline):
        return _send(EndpointClient(arguments.url or _URL), call, arguments)
    config = endpoint_config(arguments, None)
    for one in config.definitions:
        model = config.models or one.model or "no model"
        print(f"Starting {one.image} with {model} ...", file=sys.stderr, flush=True)
    # What the container logs is of no interest here; a failed start shows the end of it.
    with LocalEndpoint(config, lambda _: None) as endpoint:
        return _send(EndpointClient(endpoint.url), call, arguments)


def _refuse_combinations(arguments: argparse.Namespace) -> None:
    from toolkit.errors import ToolkitError

    if arguments.repeat < 1 or arguments.concurrency < 1:
        raise ToolkitError("--repeat and --concurrency are at least 1.")
    if arguments.concurrency > arguments.repeat:
        raise ToolkitError(
            f"--concurrency {arguments.concurrency} needs --repeat {arguments.concurrency} or more."
        )
    if arguments.stream and (arguments.json or arguments.repeat > 1):
        raise ToolkitError("--stream prints one answer as it comes; it goes without --json and --repeat.")
    if arguments.image or arguments.pipeline:
        if arguments.url:
            raise ToolkitError("--url names a running endpoint, and IMAGE one to start.", "Drop one of them.")
        return
    for option in _OF_CONTAINER:
        if getattr(arguments, option) not in (None, False, []):
            raise ToolkitError(
                f"--{option.replace('_', '-')} is of a container that is started for the request.",
                f"Name its IMAGE, or drop the option: the endpoint at {arguments.url or _URL} runs already.",
            )


def _send(client: EndpointClient, call: Call, arguments: argparse.Namespace) -> int:
    import sys

    from toolkit.hosting.api_errors import ApiError
    from toolkit.hosting.load import repeat

    try:
        if arguments.stream:
            for part in client.stream(call):
                sys.stdout.buffer.write(part)
                sys.stdout.buffer.flush()
        elif arguments.repeat > 1:
            measured = repeat(client, call, arguments.repeat, arguments.concurrency)
            print(measured.as_json() if arguments.json else measured.table())
            return 0 if measured.failed == 0 else 1
        else:
            _show(client.invoke(call), arguments.json)
    except ApiError as error:
        _show_error(error, arguments.json)
        return 1
    return 0


def _show(response: Response, as_json: bool) -> None:
    import json
    import sys

    # Custom attributes, and ids of sessions.
    returned = {
        name: value for name, value in response.headers.items() if name.startswith("x-amzn-sagemaker-")
    }
    if as_json:
        document = {"status": response.status, "content_type": response.headers.get("content-type")}
        headers = {"headers": returned} if returned else {}
        print(json.dumps({**document, **headers, "body": response.text}, indent=2))
        return
    sys.stdout.buffer.write(response.body)
    if sys.stdout.isatty() and not response.body.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()
    for name, value in returned.items():
        print(f"{name}: {value}", file=sys.stderr)


def _show_error(error: ApiError, as_json: bool) -> None:
    """The cause first, then what a client of AWS sees."""
    import json
    import sys

    name = error.code or str(error.status)
    if as_json:
        print(json.dumps({"status": error.status, "error": name, **error.document()}, indent=2))
    print(f"error: {error.summary}", file=sys.stderr)
    members = [f"{member} {error.fields[member]}" for member in _SHOWN if member in error.fields]
    told = f": {', '.join(members)}" if members else ""
    raised = f"raises {error.code} (HTTP {error.status})" if error.code else f"answers HTTP {error.status}"
    print(f"  SageMaker {raised}{told}.", file=sys.stderr)
