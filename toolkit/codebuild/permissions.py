"""Which permissions a build in CodeBuild takes: of whoever starts it, and of the role that it has.

The one list behind what `build.py iam` prints, the CloudFormation template and the check before a build.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from toolkit.building.sources import registry_accounts
from toolkit.codebuild import project, storage

_WRITE = (
    *("BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"),
    *("PutImage", "BatchGetImage", "DescribeRepositories"),
)
_PUSH = (*_WRITE, "CreateRepository", "PutLifecyclePolicy")
_SHARE = ("GetRepositoryPolicy", "SetRepositoryPolicy")
_PULL = ("BatchGetImage", "GetDownloadUrlForLayer")
_SERVICE = "codebuild.amazonaws.com"


@dataclass(frozen=True)
class Place:
    """Where builds run; each may be a wildcard, or a variable of CloudFormation.

    Attributes:
        partition: such as `aws`.
        region: such as `eu-west-1`.
        account: twelve digits.
        role: ARN of the role that builds have.
        bucket: for the archives.
        projects: names of projects.
        log_group: of their logs.
        repositories: names of ECR repositories.
    """

    partition: str
    region: str
    account: str
    role: str
    bucket: str
    projects: str = f"{project.PREFIX}*"
    log_group: str = project.LOG_GROUP
    repositories: str = "sagemaker/*"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something of the account in the region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def objects(self) -> str:
        """The ARN of the archives."""
        return f"arn:{self.partition}:s3:::{self.bucket}/{storage.PREFIX}*"


@dataclass(frozen=True)
class Need:
    """Actions on resources.

    Attributes:
        name: of the statement in a policy.
        actions: such as `s3:PutObject`.
        resources: ARNs, with wildcards.
        context: what holds where they are used, such as the service that a role is passed to.
    """

    name: str
    actions: Sequence[str]
    resources: Sequence[str]
    context: Mapping[str, str] = field(default_factory=dict)

    def statement(self) -> dict[str, Any]:
        """As in a policy document."""
        condition = {"Condition": {"StringEquals": dict(self.context)}} if self.context else {}
        return {
            "Sid": self.name,
            "Effect": "Allow",
            "Action": sorted(self.actions),
            "Resource": sorted(self.resources),
            **condition,
        }


def of_caller(place: Place, *, temporary: bool = True) -> list[Need]:
    """Of whoever runs `build.py remote` (CB-21).

    Args:
        place: where builds run.
        temporary: whether projects and archives are deleted after builds.
    """
    bucket = f"arn:{place.partition}:s3:::{place.bucket}"
    builds = ["CreateProject", "StartBuild", "StopBuild", "BatchGetBuilds"]
    objects = ["GetObject", "PutObject"]
    if temporary:
        builds.append("DeleteProject")
        objects.append("DeleteObject")
    return [
        Need("Bucket", ["s3:ListBucket", "s3:CreateBucket"], [bucket]),
        Need("Archive", _of("s3", objects), [place.objects()]),
        Need("Builds", _of("codebuild", builds), [place.arn("codebuild", f"project/{place.projects}")]),
        Need("Log", ["logs:GetLogEvents"], [place.arn("logs", f"log-group:{place.log_group}:log-stream:*")]),
        Need("HandRoleOver", ["iam:PassRole"], [place.role], {"iam:PassedToService": _SERVICE}),
    ]


def of_check(place: Place) -> list[Need]:
    """Of whoever wants to hear what is missing before anything is sent; builds do without them."""
    identities = [f"arn:{place.partition}:iam::{place.account}:{kind}/*" for kind in ("user", "role")]
    return [
        Need("LookAtRoles", ["iam:GetRole"], identities[1:]),
        Need("AskForPermissions", ["iam:SimulatePrincipalPolicy"], identities),
    ]


def of_push(place: Place) -> list[Need]:
    """Of `build.py push` as a build runs it."""
    return [
        Need("Login", ["ecr:GetAuthorizationToken"], ["*"]),
        Need("Push", _of("ecr", _PUSH), [place.arn("ecr", f"repository/{place.repositories}")]),
    ]


def of_push_by_hand(
    place: Place,
    *,
    share: bool = False,
    all_regions: bool = False,
    owner: str | None = None,
    with_bases: bool = False,
    kms_key: str | None = None,
) -> list[Need]:
    """Of whoever runs `build.py push`.

    Args:
        place: where the repositories are.
        share: with --allow-account or --allow-sagemaker.
        all_regions: with --all-regions.
        owner: with --account OWNER, whose `repository_policy` has to allow it, too. Only the owner makes
            repositories.
        with_bases: with --base dlc, which pulls from AWS's registries (CB-10).
        kms_key: with --kms-key, an ARN or an id: ECR asks for a grant on it in the caller's name.
    """
    there = replace(place, region="*" if all_regions else place.region, account=owner or place.account)
    repositories = [there.arn("ecr", f"repository/{place.repositories}")]
    needs = [
        Need("Login", ["ecr:GetAuthorizationToken"], ["*"]),
        Need("Push", _of("ecr", _WRITE if owner else _PUSH), repositories),
        # A tag that is there already, and cannot move, may be the same image: its configuration tells.
        Need("Compare", ["ecr:GetDownloadUrlForLayer"], repositories),
    ]
    if share:
        needs.append(Need("Share", _of("ecr", _SHARE), repositories))
    if all_regions:
        needs.append(Need("Regions", ["ec2:DescribeRegions"], ["*"]))
    if with_bases:
        needs.append(Need("Pull", _of("ecr", _PULL), _bases(place)))
    if kms_key:
        key = kms_key if kms_key.startswith("arn:") else there.arn("kms", f"key/{kms_key}")
        needs.append(Need("Key", _of("kms", ("CreateGrant", "DescribeKey")), [key]))
    return needs


def _bases(place: Place) -> list[str]:
    accounts = registry_accounts(place.region)
    return [f"arn:{place.partition}:ecr:{place.region}:{account}:repository/*" for account in accounts]


def repository_policy(partition: str, account: str) -> dict[str, Any]:
    """The policy of a repository that another account pushes to, for `aws ecr set-repository-policy`."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OptMlPushAccount",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
                "Action": sorted(_of("ecr", (*_WRITE, "GetDownloadUrlForLayer"))),
            },
        ],
    }


def of_build(
    place: Place,
    *,
    vpc: bool = False,
    secrets: Sequence[str] = (),
    parameters: Sequence[str] = (),
) -> list[Need]:
    """Of the role that builds have (CB-22, CB-23).

    Args:
        place: where builds run.
        vpc: whether they run in a VPC.
        secrets: names of Secrets Manager that builds take variables from.
        parameters: names of the Parameter Store that builds take variables from.
    """
    logs = [place.arn("logs", f"log-group:{place.log_group}{streams}") for streams in ("", ":*")]
    last = place.arn("ecr", f"repository/{place.repositories}")  # whose layers are taken over
    needs = [
        Need("Log", _of("logs", ("CreateLogGroup", "CreateLogStream", "PutLogEvents")), logs),
        Need("Archive", ["s3:GetObject"], [place.objects()]),
        *of_push(place),
        Need("Pull", _of("ecr", _PULL), [*_bases(place), last]),
    ]
    if vpc:
        needs += _of_network(place)
    if secrets:
        named = [place.arn("secretsmanager", f"secret:{name}-??????") for name in secrets]
        needs.append(Need("Secrets", ["secretsmanager:GetSecretValue"], named))
    if parameters:
        named = [place.arn("ssm", f"parameter/{name.lstrip('/')}") for name in parameters]
        needs.append(Need("Parameters", ["ssm:GetParameters"], named))
    return needs


def _of_network(place: Place) -> list[Need]:
    described = ("DhcpOptions", "NetworkInterfaces", "Subnets", "SecurityGroups", "Vpcs")
    interfaces = [
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        *(f"ec2:Describe{what}" for what in described),
    ]
    return [
        Need("Network", interfaces, ["*"]),
        Need(
            "NetworkPermission",
            ["ec2:CreateNetworkInterfacePermission"],
            [place.arn("ec2", "network-interface/*")],
            {"ec2:AuthorizedService": _SERVICE},
        ),
    ]


def trust_policy() -> dict[str, Any]:
    """The trust policy of the build role (CB-20)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": _SERVICE}, "Action": "sts:AssumeRole"},
        ],
    }


def policy(needs: Iterable[Need]) -> dict[str, Any]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": [need.statement() for need in needs]}


def _of(service: str, actions: Iterable[str]) -> list[str]:
    return [f"{service}:{action}" for action in actions]
