"""The options that say what is served, and how they become a configuration.

Imports at its top only what `--help` needs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.hosting.fleet import ContainerDefinition, Instance
    from toolkit.hosting.limits import Limits, Serverless
    from toolkit.hosting.local_endpoint import EndpointConfig

_UNPRIVILEGED = "993:990"  # as AWS Lambda runs its functions; of SageMaker's serverless nothing is documented
_STARTUP_RANGE = (60, 3600)  # seconds (HOST-42)


def add_model_arguments(parser: Any) -> None:
    """What is served."""
    add = parser.add_argument
    add("image", nargs="?", help="an image of this repository (ensemble-cpu), or any local image reference")
    add(
        "--model",
        action="append",
        default=[],
        metavar="PATH",
        help="a model.tar.gz, a directory, jobs/NAME, or `none` (default: the newest completed job of the "
        "image); with --pipeline CONTAINER=PATH (repeatable)",
    )
    add("--jobs", default="jobs", metavar="DIR", help="where the default model is looked for (jobs)")
    add("--environment", "--env", action="append", default=[], metavar="NAME=VALUE", help="(repeatable)")
    add("--env-file", metavar="FILE", help="lines of NAME=VALUE; --environment overrides them")


def add_container_arguments(parser: Any) -> None:
    """How the container runs."""
    add = parser.add_argument
    add("--isolated", "--network-isolation", action="store_true", help="no network at all")
    add("--read-only", action="store_true", help="nothing but /tmp can be written")
    add("--user", metavar="UID[:GID]", help="run as this user (default: the image's own)")
    add("--cpus", type=float, metavar="N", help="limit of the container (default: all)")
    add("--memory", metavar="SIZE", help="limit of the container, such as 4g (default: all)")
    add(
        "--startup-timeout",
        type=int,
        metavar="SECONDS",
        help="until /ping must be 200, ContainerStartupHealthCheckTimeoutInSeconds: 60 to 3600 (480)",
    )


def add_kind_arguments(parser: Any) -> None:
    """Which kind of endpoint it is."""
    add = parser.add_argument
    add(
        "--serverless",
        type=int,
        metavar="MB",
        help="a serverless endpoint of 1024 to 6144 MB: its CPU, user, file system and limits",
    )
    add("--max-concurrency", type=int, metavar="N", help="of a serverless endpoint; more are throttled (5)")
    add(
        "--multi-model",
        metavar="DIR",
        help="a multi-model endpoint; DIR of model.tar.gz files stands for the S3 prefix",
    )
    add("--no-model-cache", action="store_true", help="unload each model after its request")
    add(
        "--pipeline",
        metavar="IMAGE,IMAGE",
        help="an inference pipeline of 2 to 15 containers; NAME=IMAGE,NAME=IMAGE names them",
    )
    add("--direct", action="store_true", help="with --pipeline: no chain, the client names the container")


def endpoint_config(
    arguments: argparse.Namespace, port: int | None, code: Path | None = None
) -> EndpointConfig:
    """What the arguments of the three functions above say.

    Args:
        arguments: parsed.
        port: of the endpoint; None for any free one.
        code: directory laid over the model's `code/`.

    Raises:
        ToolkitError: options that exclude each other, or a value that is not valid; names the option.
    """
    from dataclasses import replace

    from toolkit.hosting.local_endpoint import EndpointConfig

    _refuse_combinations(arguments)
    definitions = _definitions(arguments)
    serverless = _serverless(arguments)
    instance, limits = _instance(arguments, serverless)
    if code:
        instance = replace(instance, surroundings=replace(instance.surroundings, code=code))
    return EndpointConfig(
        name=arguments.name or _endpoint_name(definitions[0].image),
        definitions=definitions,
        instance=instance,
        limits=limits,
        port=port,
        models=Path(arguments.multi_model) if arguments.multi_model else None,
        keeps_loaded=not arguments.no_model_cache,
        is_direct=arguments.direct,
    )


def model_of(arguments: argparse.Namespace, image: str, given: str | None) -> Path | None:
    """The model of one container: the given one, none, or that of the newest job."""
    from toolkit.artifacts import newest_model

    if given == "none":
        return None
    return Path(given) if given else newest_model(Path(arguments.jobs), image)


def environment_of(arguments: argparse.Namespace) -> dict[str, str]:
    """What --env-file and --environment say, the latter last."""
    from toolkit.jobs.options import parse_pairs, read_environment_file

    of_file = read_environment_file(Path(arguments.env_file)) if arguments.env_file else {}
    return {**of_file, **parse_pairs("--environment", arguments.environment)}


def single_image(arguments: argparse.Namespace) -> str:
    """The reference of the one image.

    Raises:
        ToolkitError: none is given, or several models for it.
    """
    from toolkit.building.images import local_reference
    from toolkit.errors import ToolkitError

    if not arguments.image:
        raise ToolkitError("No image is named.", "For example: ensemble-cpu. `./build.py list` shows all.")
    if len(arguments.model) > 1:
        raise ToolkitError("One container has one model.", "Give --model once.")
    return local_reference(arguments.image)


def _refuse_combinations(arguments: argparse.Namespace) -> None:
    from toolkit.errors import ToolkitError

    if arguments.serverless is not None:
        for option in ("multi_model", "pipeline", "isolated", "cpus", "memory", "user"):  # HOST-95
            if getattr(arguments, option):
                raise ToolkitError(f"A serverless endpoint does not take --{option.replace('_', '-')}.")
    elif arguments.max_concurrency is not None:
        raise ToolkitError("--max-concurrency is of a serverless endpoint.", "Add --serverless 2048.")
    needs = {
        "no_model_cache": "multi_model",
        "direct": "pipeline",
    }
    for option, needed in needs.items():
        if getattr(arguments, option) and not getattr(arguments, needed):
            raise ToolkitError(f"--{option.replace('_', '-')} needs --{needed.replace('_', '-')}.")
    if arguments.pipeline and (arguments.image or arguments.multi_model or arguments.isolated):
        raise ToolkitError("--pipeline names all images; it takes no IMAGE, --multi-model or --isolated.")
    if arguments.cpus is not None and arguments.cpus <= 0:
        raise ToolkitError(f"--cpus {arguments.cpus:g}: a container needs some.", "For example: --cpus 0.5")
    if arguments.multi_model and arguments.model:
        raise ToolkitError(
            "The models of a multi-model endpoint are those in its directory.", "Drop --model."
        )


def _definitions(arguments: argparse.Namespace) -> tuple[ContainerDefinition, ...]:
    from toolkit.hosting.fleet import ContainerDefinition

    environment = environment_of(arguments)
    if arguments.pipeline:
        return _pipeline(arguments, environment)
    image = single_image(arguments)
    if arguments.multi_model:
        return (ContainerDefinition(image, None, environment),)
    model = model_of(arguments, image, arguments.model[0] if arguments.model else None)
    return (ContainerDefinition(image, model, environment),)


def _pipeline(arguments: argparse.Namespace, environment: dict[str, str]) -> tuple[ContainerDefinition, ...]:
    from toolkit.building.images import local_reference
    from toolkit.errors import ToolkitError
    from toolkit.hosting.fleet import ContainerDefinition
    from toolkit.jobs.options import parse_pairs

    words = [word.strip() for word in arguments.pipeline.split(",") if word.strip()]
    if len(words) < 2:
        raise ToolkitError(
            f"--pipeline {arguments.pipeline}: a pipeline has at least two containers.",
            "For example: --pipeline prepare=my-image:1,predict=ensemble-cpu",
        )
    images: dict[str, str] = {}
    for number, word in enumerate(words, 1):
        name, sign, image = word.partition("=")
        name, image = (name, image) if sign else (f"container-{number}", word)
        if name in images:
            raise ToolkitError(f"--pipeline names two containers {name}.", "Give each a name of its own.")
        images[name] = local_reference(image)
    models = parse_pairs("--model", arguments.model)
    if unknown := [name for name in models if name not in images]:
        raise ToolkitError(
            f"--model {unknown[0]}={models[unknown[0]]}: the pipeline has no container {unknown[0]}.",
            f"Its containers are {', '.join(images)}.",
        )
    return tuple(
        ContainerDefinition(image, model_of(arguments, image, models.get(name)), environment, name)
        for name, image in images.items()
    )


def _serverless(arguments: argparse.Namespace) -> Serverless | None:
    from toolkit.hosting.limits import Serverless

    if arguments.serverless is None:
        return None
    concurrency = arguments.max_concurrency
    return Serverless(arguments.serverless, *([] if concurrency is None else [concurrency]))


def _instance(arguments: argparse.Namespace, serverless: Serverless | None) -> tuple[Instance, Limits]:
    from toolkit.hosting.fleet import Instance
    from toolkit.hosting.limits import REAL_TIME
    from toolkit.jobs.options import parse_size
    from toolkit.serving.endpoint import Surroundings

    limits = serverless.limits if serverless else REAL_TIME
    memory = parse_size(arguments.memory) if arguments.memory else None
    start_limit = startup_limit(arguments) or limits.start
    if serverless:  # HOST-92, HOST-93
        around = Surroundings(cpus=serverless.cpus, memory=serverless.memory, is_tmp_on_disk=True)
        return Instance(around, start_limit, user=_UNPRIVILEGED, read_only=True), limits
    return (
        Instance(
            Surroundings(cpus=arguments.cpus, memory=memory),
            start_limit,
            isolated=arguments.isolated,
            user=arguments.user,
            read_only=arguments.read_only,
        ),
        limits,
    )


def startup_limit(arguments: argparse.Namespace) -> float | None:
    """--startup-timeout in seconds; None where it is not given.

    Raises:
        ToolkitError: outside of what the API takes (HOST-42).
    """
    from toolkit.errors import ToolkitError

    seconds: int | None = arguments.startup_timeout
    low, high = _STARTUP_RANGE
    if seconds is not None and not low <= seconds <= high:
        raise ToolkitError(f"--startup-timeout {seconds}: SageMaker takes {low} to {high} seconds.")
    return seconds


def _endpoint_name(image: str) -> str:
    """`opt-ml/ensemble-cpu:latest` -> `ensemble-cpu`: an endpoint's name has letters, digits and hyphens."""
    import re

    from toolkit.registry.names import short_name

    return re.sub(r"[^a-zA-Z0-9]+", "-", short_name(image)).strip("-")[:63] or "endpoint"
