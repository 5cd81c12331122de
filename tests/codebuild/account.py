"""An account whose policies hold: every call that the code makes is recorded, and refused if not allowed.

Sits in botocore's own events, so that it sees what is called, and what the call means in IAM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any

from tests.codebuild.fake_aws import ACCOUNT

USER = f"arn:aws:iam::{ACCOUNT}:user/me"
NO_PERMISSION_NEEDED = {"GetCallerIdentity"}


@dataclass(frozen=True)
class Use:
    """An action on a resource, as IAM judges it."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass
class Account:
    """Attributes:
    policies: ARN of a user or role -> its policy documents; of one without an entry, all is allowed.
    uses: what `USER` has done, in order.
    """

    policies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    arn: str = USER  # of the caller, as STS tells it
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)  # of operations that moto does not have

    def watch(self, client: Any) -> Any:
        """Let every call of `client` be recorded and judged."""
        events = client.meta.events
        events.register(
            "provide-client-params.*.*", lambda params, context, **_: context.update(asked=params)
        )
        events.register("before-call.*.*", self._judge)
        return client

    def _judge(self, model: Any, context: Mapping[str, Any], **_: Any) -> Any:
        name = model.name
        uses = list(
            uses_of(model.service_model.signing_name, name, context["asked"], context["client_region"])
        )
        self.uses += uses
        denied = next((use for use in uses if not self.allows(USER, use)), None)
        if denied is not None:
            text = (
                f"User: {USER} is not authorized to perform: {denied.action} on resource: {denied.resource}"
            )
            is_head = name.startswith("Head")  # S3 answers HEAD without a body
            error = (
                {"Code": "403", "Message": "Forbidden"}
                if is_head
                else {"Code": "AccessDenied", "Message": text}
            )
            return answer(403, {"Error": error})
        if name == "GetCallerIdentity":
            return answer(200, {"Account": ACCOUNT, "Arn": self.arn, "UserId": "me"})
        if name in self.answers:
            return answer(200, self.answers[name])
        if name == "SimulatePrincipalPolicy":
            return answer(200, {"EvaluationResults": list(self._simulate(context["asked"]))})
        return None

    def allows(self, identity: str, use: Use) -> bool:
        documents = self.policies.get(identity)
        return documents is None or any(allows(document, use) for document in documents)

    def _simulate(self, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        context = tuple(
            (entry["ContextKeyName"], entry["ContextKeyValues"][0]) for entry in asked["ContextEntries"]
        )
        for action in asked["ActionNames"]:
            uses = [Use(action, resource, context) for resource in asked["ResourceArns"]]
            allowed = all(self.allows(asked["PolicySourceArn"], use) for use in uses)
            decision = "allowed" if allowed else "implicitDeny"
            yield {"EvalActionName": action, "EvalResourceName": "*", "EvalDecision": decision}


def answer(status: int, parsed: Mapping[str, Any]) -> Any:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {}}
    return SimpleNamespace(status_code=status), {**parsed, "ResponseMetadata": metadata}


def allows(document: Mapping[str, Any], use: Use) -> bool:
    """Whether a statement of the policy allows the use."""
    return any(matches(statement, use) for statement in document["Statement"])


def matches(statement: Mapping[str, Any], use: Use) -> bool:
    wanted = statement.get("Condition", {}).get("StringEquals", {})
    assert statement["Effect"] == "Allow"
    return (
        any(fnmatchcase(use.action, pattern) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(use.resource, pattern) for pattern in listed(statement["Resource"]))
        and wanted.items() <= dict(use.context).items()
    )


def unused(document: Mapping[str, Any], uses: Sequence[Use]) -> list[tuple[str, str]]:
    """(Action, resource) pairs of the policy that none of the uses is covered by."""
    return [
        (action, resource)
        for statement in document["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if not any(matches({**statement, "Action": action, "Resource": resource}, use) for use in uses)
    ]


def listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def uses_of(service: str, operation: str, asked: Mapping[str, Any], region: str) -> Iterator[Use]:
    """What a call needs, by AWS's service authorization reference."""
    if operation in NO_PERMISSION_NEEDED:
        return
    if service == "s3":
        yield from uses_of_s3(operation, asked)
        return
    yield Use(f"{service}:{operation}", resource_of(service, operation, asked, region))
    if operation == "CreateProject":
        passed = (("iam:PassedToService", "codebuild.amazonaws.com"),)
        yield Use("iam:PassRole", asked["serviceRole"], passed)


def uses_of_s3(operation: str, asked: Mapping[str, Any]) -> Iterator[Use]:
    bucket = f"arn:aws:s3:::{asked['Bucket']}"
    if operation == "HeadBucket":
        yield Use("s3:ListBucket", bucket)
    elif operation == "HeadObject":
        yield Use("s3:GetObject", f"{bucket}/{asked['Key']}")
        yield Use("s3:ListBucket", bucket)  # or a missing object is "forbidden"
    else:
        yield Use(f"s3:{operation}", f"{bucket}/{asked['Key']}" if "Key" in asked else bucket)


def resource_of(service: str, operation: str, asked: Mapping[str, Any], region: str) -> str:
    here = f"arn:aws:{service}:{region}:{asked.get('registryId', ACCOUNT)}"
    if service == "codebuild":
        name = asked.get("name") or asked.get("projectName") or asked.get("id") or asked["ids"][0]
        return f"{here}:project/{name.partition(':')[0]}"
    if service == "logs":
        return f"{here}:log-group:{asked['logGroupName']}:log-stream:{asked['logStreamName']}"
    if service == "iam":
        return asked.get("PolicySourceArn") or f"arn:aws:iam::{ACCOUNT}:role/{asked['RoleName']}"
    if service == "ec2":
        return "*"
    if service == "ecr":
        name = asked.get("repositoryName") or next(iter(asked.get("repositoryNames", [])), None)
        return f"{here}:repository/{name}" if name else "*"
    if service == "sagemaker":
        profile = asked.get("UserProfileName")
        return f"{here}:" + (
            f"user-profile/{asked['DomainId']}/{profile}" if profile else f"domain/{asked['DomainId']}"
        )
    raise AssertionError(f"no rule for {service}:{operation}")
