"""One request through a loaded handler: every outcome is an `Answer`, never an exception."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

from opt_ml.errors import RequestError
from opt_ml.serving import defaults
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.handler import Function, Handler
from opt_ml.serving.media import JSON, JSON_LINES, OCTET_STREAM, MediaType, parse_media_type

_WILDCARD = "*/*"


class Model:
    """A handler and the model that its `model_fn` returned, ready for requests.

    Args:
        handler: the functions.
        model_dir: passed to `model_fn`.

    Raises:
        Exception: whatever `model_fn` raises.
    """

    def __init__(self, handler: Handler, model_dir: str) -> None:
        self._handler = handler
        self._model = handler.model_fn.call(model_dir)
        if handler.transform_fn is None and handler.predict_fn.call is defaults.predict:
            defaults.check_model(self._model)
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or None

    def answer(self, body: bytes, content_type: str | None, accept: str | None) -> Answer:
        """Answer one request.

        Args:
            body: the request's body.
            content_type: its Content-Type, or None.
            accept: its Accept, or None.
        """
        try:
            result, wanted = self._run(body, content_type, accept)
            return _to_answer(result, wanted)
        except RequestError as error:
            return error_answer(error.status, error.message, error.details)
        except Exception as error:
            print_traceback()
            return error_answer(500, f"{type(error).__name__}: {error}")

    def _run(self, body: bytes, content_type: str | None, accept: str | None) -> tuple[Any, str]:
        handler = self._handler
        if handler.transform_fn is not None:
            function = handler.transform_fn
            content, kind = _receive(function, body, content_type)
            wanted = self._wanted(function, accept)
            return function.call(self._model, content, kind, wanted), wanted
        content, kind = _receive(handler.input_fn, body, content_type)
        data = _call_input_fn(handler.input_fn, content, kind)
        prediction = handler.predict_fn.call(data, self._model)
        wanted = self._wanted(handler.output_fn, accept)
        return handler.output_fn.call(prediction, wanted), wanted

    def _wanted(self, function: Function, accept: str | None) -> str:
        if accept and accept.strip() != _WILDCARD:
            return accept
        return self._default_accept or (JSON if function.is_users else _WILDCARD)


def print_traceback() -> None:
    """The exception in hand goes to the log, never to the client."""
    sys.stderr.write(traceback.format_exc())  # in one piece, so that workers' lines do not mix
    sys.stderr.flush()


def _receive(function: Function, body: bytes, content_type: str | None) -> tuple[bytes | str, str]:
    """Body and content type as `function` expects them: see the rules in `handler`."""
    if not function.is_users:
        return body, content_type or OCTET_STREAM
    content_type = content_type or JSON
    media_type = parse_media_type(content_type)
    return (_to_text(body, media_type) if _is_text(media_type.type) else body), content_type


def _is_text(name: str) -> bool:
    return name.startswith("text/") or name == JSON or name in JSON_LINES or name.endswith("+json")


def _to_text(body: bytes, media_type: MediaType) -> str:
    charset = media_type.parameters.get("charset", "utf-8")
    try:
        return body.decode(charset)
    except (LookupError, UnicodeDecodeError) as error:
        raise RequestError(400, f"The body is not {media_type.type} in {charset[:50]} ({error}).") from None


def _call_input_fn(function: Function, content: bytes | str, content_type: str) -> Any:
    try:
        return function.call(content, content_type)
    except ValueError as error:
        # A decoder says ValueError of a body that it cannot read (json, csv, numpy and pandas all do), so
        # it is the client's fault: 400, as sagemaker-containers answers (HANDLER-10, HANDLER-50).
        print_traceback()
        raise RequestError(400, f"{type(error).__name__}: {error}") from None


def _to_answer(result: Any, wanted: str) -> Answer:
    content_type = JSON if "*" in wanted or "," in wanted else wanted
    if isinstance(result, tuple) and len(result) == 2:  # HANDLER-12
        result, content_type = result
    if isinstance(result, str):
        result = result.encode()
    if not isinstance(result, bytes | bytearray | memoryview):
        raise TypeError(
            f"the handler returned a {type(result).__name__}; return bytes, str or (body, content type)"
        )
    if not isinstance(content_type, str) or not content_type.isascii() or not content_type.isprintable():
        raise TypeError(f"the handler returned {content_type!r} as content type; return one such as {JSON}")
    return Answer(200, content_type, bytes(result))
