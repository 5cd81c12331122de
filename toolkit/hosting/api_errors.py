"""The errors of the SageMaker runtime API, with the texts that clients see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ACCOUNT, REGION = "000000000000", "us-east-1"  # of no one; they stand in texts alone
VARIANT = "AllTraffic"
_CONTAINER = re.compile(r"\A[^\"]* from (\S+) with message")
MESSAGE_LIMIT = 2048  # characters of the container's answer that reach the client (HOST-54)


class ApiError(Exception):
    """A request that the API answers with an error.

    Args:
        status: of HTTP.
        code: the error's name, such as `ModelError`; empty where the API has none.
        message: for people.
        fields: further members of the error.
    """

    def __init__(self, status: int, code: str, message: str, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.fields = dict(fields or {})

    @property
    def summary(self) -> str:
        """The cause in few words: of a ModelError what the container said."""
        status = self.fields.get("OriginalStatusCode")
        if status is None:
            return self.message
        said = str(self.fields.get("OriginalMessage", "")).strip()
        named = _CONTAINER.search(self.message)
        who = named[1] if named and named[1] != "primary" else "the container"
        return f"{who} answered {status}: {said}" if status else said

    def document(self) -> dict[str, Any]:
        """The body, as JSON."""
        return {**self.fields, "Message": self.message}


def validation_error(message: str) -> ApiError:
    """The request is not as the API wants it."""
    return ApiError(400, "ValidationError", message)


def too_large(limit: int) -> ApiError:
    """The payload is above the limit (HOST-51, HOST-91); the API gives this error no name."""
    return ApiError(413, "", f"HTTP content length exceeded {limit} bytes.")


def throttled() -> ApiError:
    """More requests at once than MaxConcurrency."""
    return ApiError(429, "ThrottlingException", "Rate exceeded")


def not_ready(model: str) -> ApiError:
    """The model is still being loaded (MME-16)."""
    return ApiError(
        429,
        "ModelNotReadyException",
        f"Model {model} is not ready for inference yet: its loading goes on. Try again.",
    )


def unavailable(cause: str) -> ApiError:
    """No container can take the request."""
    return ApiError(503, "ServiceUnavailable", cause)


def model_error(endpoint: str, container: str, status: int, message: str) -> ApiError:
    """The container answered with an error, or with none (HOST-54).

    Args:
        endpoint: its name.
        container: its host name; `primary` where there is only one.
        status: of the container's answer; 0 where there was none.
        message: its body as text.
    """
    cut = message[:MESSAGE_LIMIT]
    side = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    return ApiError(
        424,
        "ModelError",
        f'Received {side} error ({status}) from {container} with message "{cut}". '
        f"See {group} in account {ACCOUNT} for more information.",
        {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if side == "client" else "INTERNAL_FAILURE_FROM_MODEL",
            "LogStreamArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}",
            "OriginalMessage": cut,
            "OriginalStatusCode": status,
        },
    )


def timed_out(endpoint: str, container: str) -> ApiError:
    """The container did not answer in time (HOST-50)."""
    return model_error(
        endpoint,
        container,
        0,
        f"Your invocation timed out while waiting for a response from container {container}. Review the "
        "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again.",
    )
