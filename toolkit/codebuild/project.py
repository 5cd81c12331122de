"""The CodeBuild project: what it is, as data, and that it exists.

A project that is kept has its definition's hash in its name. The same settings find it again, others make
another one, and two people who build at one time never change each other's.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from toolkit.aws.errors import explained
from toolkit.errors import ToolkitError, WorkError

COMPUTE_TYPES = (
    *("BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE"),
    *("BUILD_GENERAL1_XLARGE", "BUILD_GENERAL1_2XLARGE"),
)
PREFIX = "opt-ml-"
LOG_GROUP = "/aws/codebuild/opt-ml"
LONGEST_NAME = 150  # CB-03
_FACTS = Path(__file__).parent.parent / "data" / "codebuild.toml"
# A role that was just made is not known everywhere for some seconds (CB-24).
_ROLE_TRIES = 8
_ROLE_SECONDS = 4.0


@dataclass(frozen=True)
class Network:
    """The VPC that the build runs in.

    Attributes:
        vpc: such as `vpc-05c09f91d48831c8c`.
        subnets: with a way out, through a NAT gateway or endpoints.
        security_groups: of the build's network interface.
    """

    vpc: str
    subnets: Sequence[str]
    security_groups: Sequence[str]


@dataclass(frozen=True)
class Settings:
    """Where and as whom builds run.

    Attributes:
        role: ARN of the role that builds have.
        platform: `linux/amd64` or `linux/arm64`: what is built, and what builds it.
        compute_type: one of `COMPUTE_TYPES`; its disk must hold an image and its base, unpacked.
        image: the image that the build runs in; None for CodeBuild's own.
        fleet: ARN of a reserved capacity fleet.
        docker_server: compute type of a Docker server beside the builds, which keeps their cache (CB-34).
        network: None outside of a VPC.
        timeout: minutes for the build, 5 to 2160 (CB-33).
        queued_timeout: minutes to wait for a machine, 5 to 480.
        log_group: of CloudWatch Logs; None for one of the project's own.
        variables: (name, value, type) of the build's environment; the type is PLAINTEXT, PARAMETER_STORE or
            SECRETS_MANAGER.
    """

    role: str
    platform: str = "linux/amd64"
    compute_type: str = "BUILD_GENERAL1_MEDIUM"
    image: str | None = None
    fleet: str | None = None
    docker_server: str | None = None
    network: Network | None = None
    timeout: int = 120
    queued_timeout: int = 60
    log_group: str | None = LOG_GROUP
    variables: Sequence[tuple[str, str, str]] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Check what CodeBuild would refuse.

        Raises:
            ToolkitError: a value out of its range.
        """
        _check_range("--timeout", self.timeout, 5, 2160)
        _check_range("--queued-timeout", self.queued_timeout, 5, 480)

    @property
    def build_image(self) -> str:
        """The image that the build runs in."""
        return self.image or str(_machine(self.platform)["image"])

    @property
    def curated(self) -> bool:
        """True for one of CodeBuild's own images."""
        return self.build_image.startswith("aws/codebuild/")


def define(settings: Settings) -> dict[str, Any]:
    """The project without its name, as CreateProject takes it (CB-05); each build brings its own source."""
    environment: dict[str, Any] = {
        "type": _machine(settings.platform)["environment_type"],
        "image": settings.build_image,
        "computeType": settings.compute_type,
        "imagePullCredentialsType": "CODEBUILD" if settings.curated else "SERVICE_ROLE",
        "privilegedMode": True,  # a Docker engine runs in the build
        "environmentVariables": [
            {"name": name, "value": value, "type": kind} for name, value, kind in settings.variables
        ],
    }
    if settings.fleet:
        environment["fleet"] = {"fleetArn": settings.fleet}
    if settings.docker_server:
        environment["dockerServer"] = {"computeType": settings.docker_server}
        if settings.network:
            environment["dockerServer"]["securityGroupIds"] = list(settings.network.security_groups)
    group = {"groupName": settings.log_group} if settings.log_group else {}
    definition: dict[str, Any] = {
        "description": "Builds and pushes container images; made by build.py, named by its settings.",
        "artifacts": {"type": "NO_ARTIFACTS"},
        "cache": _cache(settings),
        "environment": environment,
        "serviceRole": settings.role,
        "timeoutInMinutes": settings.timeout,
        "queuedTimeoutInMinutes": settings.queued_timeout,
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", **group}},
    }
    if settings.network:
        definition["vpcConfig"] = {
            "vpcId": settings.network.vpc,
            "subnets": list(settings.network.subnets),
            "securityGroupIds": list(settings.network.security_groups),
        }
    return definition


def _cache(settings: Settings) -> dict[str, Any]:
    """Layers are kept between builds that come close together, where the same machine is at hand.

    The user guide says where there is no such cache: in a VPC, on the largest machines, on others than x86.
    """
    kept = (
        settings.network is None
        and settings.docker_server is None
        and settings.compute_type != "BUILD_GENERAL1_2XLARGE"
        and settings.platform == "linux/amd64"
    )
    return {"type": "LOCAL", "modes": ["LOCAL_DOCKER_LAYER_CACHE"]} if kept else {"type": "NO_CACHE"}


def kept_name(definition: Mapping[str, Any]) -> str:
    """The name of the project with this definition."""
    text = json.dumps(definition, sort_keys=True)
    return f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def temporary_name(prefix: str = f"{PREFIX}temporary-") -> str:
    """A name that no project has, as long as CodeBuild allows at most."""
    return f"{prefix[: LONGEST_NAME - 16]}{secrets.token_hex(8)}"


def ensure(
    codebuild: Any,
    name: str,
    definition: Mapping[str, Any],
    source: str,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Make the project exist; True where it was made now.

    Args:
        codebuild: a boto3 client.
        name: of the project.
        definition: of `define`.
        source: `BUCKET/KEY` of an archive; a project needs one, though each build names its own.
        pause: waits so many seconds.

    Raises:
        ToolkitError: the role may not be taken by CodeBuild, or there are too many projects.
    """
    project = {**definition, "source": {"type": "S3", "location": source, "buildspec": "version: 0.2"}}
    for attempt in range(1, _ROLE_TRIES + 1):
        with explained(codebuild):
            try:
                codebuild.create_project(name=name, **project)
                return True
            except codebuild.exceptions.ResourceAlreadyExistsException:
                return False
            except codebuild.exceptions.AccountLimitExceededException:
                raise WorkError(
                    "the account has as many CodeBuild projects as it may have.",
                    "`aws codebuild list-projects` shows them; delete some, or ask for a higher quota.",
                ) from None
            except codebuild.exceptions.InvalidInputException as error:
                if "AssumeRole" not in str(error):
                    raise
                if attempt == _ROLE_TRIES:
                    raise ToolkitError(
                        f"CodeBuild may not take the role {definition['serviceRole']}.",
                        "`./build.py iam trust` prints the trust policy that it needs.",
                    ) from None
        pause(_ROLE_SECONDS)
    raise AssertionError("the last attempt returns or raises")


def _machine(platform: str) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = tomllib.loads(_FACTS.read_text(encoding="utf-8"))[platform]
    return facts


def _check_range(option: str, minutes: int, least: int, most: int) -> None:
    if not least <= minutes <= most:
        raise ToolkitError(f"{option} {minutes}: CodeBuild takes {least} to {most} minutes.")


def check_compute_type(name: str | None) -> str:
    """`name`, or the default where it is None.

    Raises:
        ToolkitError: there is none of that name; names the nearest.
    """
    if name is None:
        return Settings.compute_type
    if name not in COMPUTE_TYPES:
        near = get_close_matches(name.upper(), COMPUTE_TYPES, n=1, cutoff=0.3)
        raise ToolkitError(
            f"--compute-type {name}: CodeBuild builds images on none of that name.",
            f"Did you mean {near[0]}?" if near else f"One of {', '.join(COMPUTE_TYPES)}.",
        )
    return name


def find_network(vpc: str | None, subnets: str | None, security_groups: str | None) -> Network | None:
    """The VPC of three options, of which all or none are given; lists are separated by commas.

    Raises:
        ToolkitError: one is missing.
    """
    given = {"--vpc-id": vpc, "--subnet-ids": subnets, "--security-group-ids": security_groups}
    missing = [option for option, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing or not (vpc and subnets and security_groups):
        raise ToolkitError(
            f"a build in a VPC needs {' and '.join(missing)}, too.", "Or leave all three out: no VPC."
        )
    return Network(vpc, _words(subnets), _words(security_groups))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
