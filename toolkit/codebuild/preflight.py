"""Is every permission there? Asked before anything is sent.

IAM itself is asked (SimulatePrincipalPolicy) of the caller and of the build's role. Where the caller may not
ask it, calls about things that do not exist tell: "there is none" to whoever may, "denied" to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from toolkit.aws.errors import explained
from toolkit.aws.session import Session
from toolkit.codebuild.permissions import Need, Place
from toolkit.errors import ToolkitError

_NOTHING = "00000000-0000-0000-0000-000000000000"
_TRUSTED = "codebuild.amazonaws.com"
_DENIED = ("AccessDenied", "AccessDeniedException", "403", "Forbidden")


def check(session: Session, place: Place, caller: Sequence[Need], build: Sequence[Need]) -> None:
    """Return where nothing is known to be missing.

    Args:
        session: of the caller.
        place: of the build, with its one project and its one role.
        caller: what the caller needs.
        build: what the build's role needs.

    Raises:
        ToolkitError: all that is missing.
    """
    iam = session.client("iam")
    identity = _identity(session, iam)
    missing = _simulate(iam, identity, caller) if identity else []
    if missing is None:
        missing = _try(session, place)
    of_role = _simulate(iam, place.role, build) or []
    if missing or of_role:
        who = identity or "you"
        lines = [f"{one}, which {who} lacks" for one in missing]
        lines += [f"{one}, which the role {place.role} lacks" for one in of_role]
        cures = ["`./build.py iam caller` prints the policy of whoever starts builds."] * bool(missing)
        cures += ["`./build.py iam build-role` prints the policy of the role."] * bool(of_role)
        cures += ["--no-check starts the build all the same."]
        raise ToolkitError("permissions are missing:\n  " + "\n  ".join(lines), "\n  ".join(cures))


def check_role(session: Session, arn: str) -> None:
    """The role is there, and CodeBuild may take it; nothing is said where the caller may not look at it.

    Raises:
        ToolkitError: it is not.
    """
    iam = session.client("iam")
    name = arn.rpartition("/")[2]
    with explained(iam):
        try:
            role: Mapping[str, Any] = iam.get_role(RoleName=name)["Role"]
        except iam.exceptions.NoSuchEntityException:
            raise ToolkitError(
                f"there is no role {name} for builds to have.",
                "`./build.py iam --cloudformation` prints a stack that has it; --role NAME takes another.",
            ) from None
        except iam.exceptions.ClientError as error:
            if not _is_denied(error):
                raise
            return
    if not _trusts_codebuild(role):
        raise ToolkitError(
            f"the role {role['Arn']} does not trust CodeBuild.",
            "Add to its trust policy what `./build.py iam trust` prints.",
        )


def _trusts_codebuild(role: Mapping[str, Any]) -> bool:
    """CB-20."""
    statements = role["AssumeRolePolicyDocument"].get("Statement", [])
    for statement in [statements] if isinstance(statements, dict) else statements:
        services = statement.get("Principal", {}).get("Service", [])
        allowed = [services] if isinstance(services, str) else services
        if statement["Effect"] == "Allow" and _TRUSTED in allowed:
            return True
    return False


def _identity(session: Session, iam: Any) -> str | None:
    """The ARN of the user or role that the caller is; None for those that IAM keeps no policies of."""
    sts = session.client("sts")
    with explained(sts):
        arn = str(sts.get_caller_identity()["Arn"])
    _, _, _, _, account, resource = arn.split(":", 5)
    kind, _, name = resource.partition("/")
    if kind == "user":
        return arn
    if kind != "assumed-role":
        return None
    role = name.partition("/")[0]
    try:
        with explained(iam):
            return str(iam.get_role(RoleName=role)["Role"]["Arn"])  # it may have a path
    except ToolkitError:
        return f"arn:{session.partition.name}:iam::{account}:role/{role}"


def _simulate(iam: Any, identity: str, needs: Iterable[Need]) -> list[str] | None:
    """What `identity` lacks, by IAM's own judgement; None where the caller may not ask."""
    missing: list[str] = []
    for need in needs:
        context = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in need.context.items()
        ]
        with explained(iam):
            try:
                answer = iam.simulate_principal_policy(
                    PolicySourceArn=identity,
                    ActionNames=list(need.actions),
                    ResourceArns=list(need.resources),
                    ContextEntries=context,
                )
            except iam.exceptions.ClientError as error:
                if not _is_denied(error):
                    raise
                return None
        where = ", ".join(need.resources)
        missing += [
            f"{result['EvalActionName']} on {where}"
            for result in answer["EvaluationResults"]
            if result["EvalDecision"] != "allowed"
        ]
    return missing


def _try(session: Session, place: Place) -> list[str]:
    """What the caller lacks of what can be tried without a trace."""
    codebuild, logs, s3 = (session.client(service) for service in ("codebuild", "logs", "s3"))
    build = f"{place.projects}-none:{_NOTHING}"
    nowhere = {"logGroupName": place.log_group, "logStreamName": _NOTHING}
    trials: list[tuple[str, Any, Callable[[], Any]]] = [
        ("codebuild:BatchGetBuilds", codebuild, lambda: codebuild.batch_get_builds(ids=[build])),
        ("codebuild:StopBuild", codebuild, lambda: codebuild.stop_build(id=build)),
        (
            "codebuild:StartBuild",
            codebuild,
            lambda: codebuild.start_build(projectName=f"{place.projects}-none"),
        ),
        ("logs:GetLogEvents", logs, lambda: logs.get_log_events(**nowhere)),
        ("s3:ListBucket", s3, lambda: s3.head_bucket(Bucket=place.bucket)),
    ]
    return [permission for permission, client, call in trials if _is_refused(client, call)]


def _is_refused(client: Any, call: Callable[[], Any]) -> bool:
    with explained(client):
        try:
            call()
        except client.exceptions.ClientError as error:
            return _is_denied(error)
    return False


def _is_denied(error: Any) -> bool:
    return error.response["Error"]["Code"] in _DENIED
