"""`serve`: run a SageMaker endpoint on this machine, in the foreground."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint

HELP = "Serve a model on this machine, as a SageMaker endpoint would."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is served, where it runs and where it listens."""
    from toolkit.hosting import arguments

    arguments.add_model_arguments(parser)
    parser.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1; 0 for any free one (8080)")
    parser.add_argument("--name", metavar="ENDPOINT", help="of the endpoint (default: the image's name)")
    parser.add_argument("--code", metavar="DIR", help="your handler, in the place of the model's code/")
    parser.add_argument(
        "--reload", action="store_true", help="start the server again when a file below --code changes"
    )
    parser.add_argument("--quiet", action="store_true", help="no line for each request")
    parser.add_argument("--dry-run", action="store_true", help="print the docker run line and stop")
    arguments.add_container_arguments(parser.add_argument_group("the container"))
    arguments.add_kind_arguments(parser.add_argument_group("other kinds of endpoint"))


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C (0) or until the containers do not come back (1)."""
    from pathlib import Path

    from toolkit.errors import ToolkitError
    from toolkit.hosting.arguments import endpoint_config
    from toolkit.hosting.local_endpoint import LocalEndpoint
    from toolkit.interrupts import terminate_like_interrupt
    from toolkit.serving.endpoint import EndpointError

    terminate_like_interrupt()
    if arguments.reload and not arguments.code:
        raise ToolkitError(
            "--reload needs --code.", "Name the directory of your handler: --code DIR --reload"
        )
    code = Path(arguments.code) if arguments.code else None
    config = endpoint_config(arguments, arguments.port or None, code)
    if arguments.dry_run:
        _print_lines(config)
        return 0
    for definition in config.definitions:
        print(
            f"Starting {definition.image} with {config.models or definition.model or 'no model'}", flush=True
        )
    endpoint = LocalEndpoint(config, _say, shows_requests=not arguments.quiet)
    try:
        with endpoint:
            _announce(endpoint)
            _serve(endpoint, code if arguments.reload else None)
    except EndpointError as error:
        raise EndpointError(error.message, error.cause) from None  # its log has been shown as it came
    return 0


def _serve(endpoint: LocalEndpoint, watched: Path | None) -> None:
    """Until Ctrl-C."""
    try:
        _keep(endpoint, watched)
    except KeyboardInterrupt:
        _say("Stopping: SIGTERM now, SIGKILL in 30 s or at a second Ctrl-C.")
        for definition, stop in zip(endpoint.fleet.definitions, endpoint.fleet.stop(), strict=True):
            how = "ended by itself" if stop.by_itself else "had to be killed"
            who = f"the {definition.hostname} container {how}, exit code {stop.exit_code}"
            _say(f"Stopped in {stop.duration:.1f} s: {who}.")
    finally:
        if table := endpoint.requests.table():
            print(table, flush=True)


def _say(line: str) -> None:
    print(line, flush=True)


def _keep(endpoint: LocalEndpoint, watched: Path | None) -> None:
    from toolkit.hosting.code_watch import CodeWatch
    from toolkit.hosting.keeper import Keeper

    Keeper(endpoint.fleet, _say, CodeWatch(watched) if watched else None).run()


def _announce(endpoint: LocalEndpoint) -> None:
    """Where to ask, and how."""
    name, fleet = endpoint.config.name, endpoint.fleet
    _say(f"Ready in {fleet.started_in:.1f} s at {endpoint.url}; Ctrl-C stops it. Try:")
    option, member = ("", "")
    if endpoint.config.models:
        option, member = " --target-model NAME", ', TargetModel="NAME"'
    elif endpoint.config.is_direct:
        first = fleet.definitions[0].hostname
        option, member = f" --target-container {first}", f', TargetContainerHostname="{first}"'
    _say(f"  ./build.py invoke --url {endpoint.url} --body FILE --content-type text/csv{option}")
    if not option:
        _say(f"  curl -H 'Content-Type: text/csv' --data-binary @FILE {endpoint.url}/invocations")
    _say(f'  boto3.client("sagemaker-runtime", endpoint_url="{endpoint.url}").invoke_endpoint(')
    _say(f'      EndpointName="{name}", ContentType="text/csv", Body=...{member})')
    if not endpoint.config.instance.isolated:
        for index, definition in enumerate(fleet.definitions):
            _say(f"The {definition.hostname} container itself listens on {fleet.url(index)}.")


def _print_lines(config: EndpointConfig) -> None:
    """What would be run by hand, for each container."""
    import shlex
    from dataclasses import replace
    from pathlib import Path

    from toolkit.artifacts import located_model
    from toolkit.errors import ToolkitError
    from toolkit.hosting.fleet import Fleet
    from toolkit.machine.run_spec import Bind
    from toolkit.serving.model_mounts import MODEL

    if config.models:
        raise ToolkitError(
            "A multi-model endpoint has no line of its own: models are unpacked when they are asked for."
        )
    instance = replace(config.instance, port=config.port)
    fleet = Fleet(config.definitions, instance, lambda *_: None)
    for index, definition in enumerate(config.definitions):
        binds: list[Bind] = []
        if definition.model:
            model = located_model(definition.model)
            directory = model.absolute()
            if model.is_file():
                directory = Path.cwd() / ("model" if len(config.definitions) == 1 else f"model-{index + 1}")
                print(shlex.join(["mkdir", str(directory)]))
                print(shlex.join(["tar", "-xzf", str(model), "-C", str(directory)]))
            binds.append(Bind(directory, MODEL, read_only=True))
        if code := config.instance.surroundings.code:
            binds.append(Bind(code.absolute(), f"{MODEL}/code", read_only=True))
        print(fleet.spec(index, tuple(binds)).command_line())
