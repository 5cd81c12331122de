"""`sagemaker_containers.beta.framework.worker`: what an output_fn may return."""

from __future__ import annotations

from collections.abc import Mapping


class Response:
    """A body with its type; in the original a Flask response, of which this has what the server reads.

    Args:
        response: the body.
        accept: has no effect, as in the original.
        status: of the answer.
        headers: further ones.
        mimetype: of the body, JSON where it is not given.
        direct_passthrough: has no effect; it is Flask's.
    """

    def __init__(
        self,
        response: str | bytes | None = None,
        accept: str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        mimetype: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        self._body = response.encode() if isinstance(response, str) else response or b""
        self.status_code = status
        self.headers = dict(headers or {})
        self.content_type = mimetype or "application/json"

    def get_data(self) -> bytes:
        """The body."""
        return self._body
