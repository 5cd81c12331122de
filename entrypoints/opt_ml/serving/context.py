"""The `context` that a handler's functions may take as one argument more (HANDLER-05).

It has the names of multi-model-server's and TorchServe's context, so that a handler written for them runs
as it is. There is one for each request, and so every `idx` means that request.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from opt_ml.serving.sessions.session import Session, session_of

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
SERVERS_OWN = frozenset({"connection", "content-length", "content-type", "date", "transfer-encoding"})
"""Headers that a handler cannot set: a second one of these would make two answers of one, or none."""


class Context:
    """What a handler can know of a request besides its body, and can say besides the answer's body.

    Args:
        model_dir: the model's directory.
        headers: of the request, with their names in lower case; None at `model_fn`.

    Attributes:
        model_name: `model`, as a single-model endpoint of the AWS toolkits calls it.
        system_properties: `model_dir`, `gpu_id` (None: the handler chooses), `batch_size`, `server_name`.
        request_processor: this context in a list, for handlers that go by `request_processor[0]`.
        status, phrase: of the answer; None for the server's own.
        response_headers: name to value, further headers of the answer.
        response_content_type: of the answer; None for what `output_fn` says.
    """

    model_name = "model"

    def __init__(self, model_dir: str, headers: Mapping[str, str] | None = None) -> None:
        self._headers = dict(headers or {})
        self.manifest: dict[str, Any] = {}
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": None,
            "batch_size": 1,
            "server_name": "opt_ml",
        }
        self.request_processor = [self]
        self.status: int | None = None
        self.response_headers: dict[str, str] = {}
        self.response_content_type: str | None = None

    @property
    def session(self) -> Session | None:
        """The session that the request belongs to (HOST-103); None where it belongs to none."""
        return session_of(self._headers, os.environ)

    def get_request_header(self, idx: int, key: str) -> str | None:
        """The value of a request header, whatever the case of its name; None where it is absent."""
        return self._headers.get(key.lower())

    def get_request_property(self, key: str) -> str | None:
        """The same, as `request_processor[0]` has it."""
        return self._headers.get(key.lower())

    def get_all_request_header(self, idx: int = 0) -> dict[str, str]:
        """All request headers, names in lower case."""
        return dict(self._headers)

    def get_request_id(self, idx: int = 0) -> str:
        """The client's X-Amzn-SageMaker-Inference-Id or X-Request-Id, or an empty text (HOST-60)."""
        return self._headers.get("x-amzn-sagemaker-inference-id") or self._headers.get("x-request-id", "")

    def set_response_content_type(self, idx: int, value: str) -> None:
        """The answer's Content-Type."""
        self.response_content_type = value

    def get_response_content_type(self, idx: int = 0) -> str | None:
        """What `set_response_content_type` has set."""
        return self.response_content_type

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """The answer's status.

        Raises:
            ValueError: not a final HTTP status, 200 to 599.
        """
        if not isinstance(code, int) or not 200 <= code <= 599:
            raise ValueError(f"set_response_status got {code!r}; a status is a number from 200 to 599")
        self.status = code

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """A further header of the answer, such as X-Amzn-SageMaker-Custom-Attributes (HOST-59).

        Raises:
            ValueError: a name or a value that HTTP does not allow, or a header that the server sets.
        """
        text = str(value)
        if not _HEADER_NAME.fullmatch(key) or not text.isascii() or not text.isprintable():
            raise ValueError(f"set_response_header got {key!r}: {text[:100]!r}; send printable ASCII")
        if key.lower() in SERVERS_OWN:
            raise ValueError(f"set_response_header got {key!r}, which the server sets by itself")
        self.response_headers[key] = text
