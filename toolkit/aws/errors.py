"""What boto3 raises, as one line with the cause and one with what helps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from toolkit.aws.regions import unknown_region
from toolkit.errors import ToolkitError, WorkError

_LOGIN = "`aws configure`, `aws login` or AWS_PROFILE=NAME; `aws sts get-caller-identity` shows who you are."
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_NOT_VALID = {
    *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"),
    *(
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "IncompleteSignature",
        "MissingAuthenticationToken",
    ),
}
_DENIED = {
    *("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"),
    *("NotAuthorized", "UnauthorizedAccess", "Forbidden", "403"),
}
_THROTTLED = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "SlowDown"),
    *(
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottledException",
        "PriorRequestNotComplete",
    ),
}
_WRONG_REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_SESSION_ENDED = (boto.SSOError, boto.TokenRetrievalError, boto.LoginError)
_UNREACHABLE = (
    *(boto.ConnectionError, boto.HTTPClientError, boto.ConnectionClosedError),
    *(boto.ReadTimeoutError, boto.IncompleteReadError),
)


class UnreachableError(WorkError):
    """AWS was not reached; a later call may reach it."""


@contextmanager
def explained(client: Any) -> Iterator[None]:
    """Calls of `client` in the block that fail raise a ToolkitError.

    Errors that mean something to the caller are caught inside of the block, by `client.exceptions`.

    Raises:
        ToolkitError: the credentials, the region or a permission is not as it must be.
        WorkError: AWS was not reached (`UnreachableError`), or refused for now.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise explain(error, client.meta.service_model.signing_name, client.meta.region_name) from None


def explain(error: Exception, service: str = "", region: str = "") -> ToolkitError:
    """The error for people.

    Args:
        error: a BotoCoreError or a ClientError.
        service: whose call it was, as in permissions: `ecr`.
        region: where it was made.
    """
    if isinstance(error, ClientError):
        return _explain_answer(error, service, region)
    if isinstance(error, boto.NoRegionError):
        return ToolkitError("no AWS region is chosen.", "--region REGION, or AWS_REGION=REGION.")
    if isinstance(error, boto.InvalidRegionError):
        return unknown_region(region)
    if isinstance(error, boto.ProfileNotFound):
        return ToolkitError(f"{_one_line(error)}.", "`aws configure list-profiles` shows which there are.")
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return ToolkitError("there are no AWS credentials, or only a part of them.", _LOGIN)
    if isinstance(error, _SESSION_ENDED):
        return ToolkitError(
            f"the AWS session has ended: {_one_line(error)}", "`aws sso login`, or `aws login`."
        )
    if isinstance(error, boto.CredentialRetrievalError):
        return ToolkitError(_one_line(error), _LOGIN)
    if isinstance(error, boto.SSLError):
        return ToolkitError(
            f"the certificate of AWS in {region} is not trusted: {_one_line(error)}",
            "Behind a proxy that intercepts TLS, set AWS_CA_BUNDLE to the CA bundle.",
        )
    if isinstance(error, _UNREACHABLE):
        return UnreachableError(
            f"AWS was not reached: {_one_line(error)}",
            "Look at the network and HTTPS_PROXY, and run the same command again.",
        )
    return ToolkitError(f"{service} in {region}: {_one_line(error)}" if service else _one_line(error))


def _explain_answer(error: ClientError, service: str, region: str) -> ToolkitError:
    """What AWS answered, by its error code."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = _one_line(error.response.get("Error", {}).get("Message") or error)
    call = f"{service}:{error.operation_name}"
    if code in _EXPIRED:
        return ToolkitError(f"the AWS credentials have expired ({call} in {region}).", _LOGIN)
    if code in _NOT_VALID:
        return ToolkitError(
            f"AWS does not accept the credentials in {region} ({code}).",
            f"The region may not be enabled for the account, or: {_LOGIN}",
        )
    if code in _DENIED:
        permission = _permission(text) or call
        return ToolkitError(
            f"the permission {permission} is missing in {region}: {text}",
            "`./build.py iam` prints the policies that this toolkit needs.",
        )
    if code in _THROTTLED:
        return WorkError(f"AWS asks to slow down ({call} in {region}).", "Run the same command again later.")
    if code == "OptInRequired":
        return ToolkitError(
            f"{text} ({call} in {region})", "Enable the region or the service, in the account."
        )
    if code in _WRONG_REGION:
        return ToolkitError(f"{call} was asked in {region}, the wrong region: {text}", "--region REGION")
    return WorkError(f"{call} in {region}: {code}: {text}")


def _permission(text: str) -> str | None:
    """The action that IAM names: `... is not authorized to perform: ecr:PutImage on resource: ...`."""
    found = re.search(r"perform:?\s+([a-z0-9-]+:[A-Za-z]+)", text)
    return found[1] if found else None


def _one_line(error: object) -> str:
    return " ".join(str(error).split()).removesuffix(".")
