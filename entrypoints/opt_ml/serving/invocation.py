"""Requests through a loaded handler: every outcome is an `Answer`, never an exception."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from opt_ml.errors import RequestError
from opt_ml.serving import defaults
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.charset import to_text
from opt_ml.serving.context import Context
from opt_ml.serving.handler import Function, Handler
from opt_ml.serving.media import JSON, JSON_LINES, OCTET_STREAM, parse_media_type

_WILDCARD = "*/*"


class Request(NamedTuple):
    """What a client sent to /invocations; None for a header that it left out."""

    body: bytes
    content_type: str | None
    accept: str | None
    headers: Mapping[str, str] | None = None


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
        self._model_dir = model_dir
        self._runner: asyncio.Runner | None = None
        self._model = self._call(handler.model_fn, Context(model_dir), model_dir)
        if handler.transform_fn is None and handler.predict_fn.call is defaults.predict:
            defaults.check_model(self._model)
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or None

    @property
    def joins(self) -> bool:
        """True where several requests are predicted at once."""
        return self._handler.predict_batch_fn is not None

    @property
    def wants_headers(self) -> bool:
        """True where a function takes a context, which holds the request's headers."""
        functions = (getattr(self._handler, field.name) for field in fields(self._handler))
        return any(function is not None and function.takes_context for function in functions)

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer requests, each for itself: what is wrong with one is not seen by the others.

        Args:
            requests: one, or more where `joins`.

        Returns:
            as many answers, in the same order.
        """
        contexts = [Context(self._model_dir, request.headers) for request in requests]
        if len(requests) == 1:
            return [_caught(self._run, requests[0], contexts[0])]
        data = [_caught(self._decode, *pair) for pair in zip(requests, contexts, strict=True)]
        good = [number for number, item in enumerate(data) if not isinstance(item, Answer)]
        predictions = self._predict_together(
            [data[number] for number in good], [contexts[number] for number in good]
        )
        answers = dict(enumerate(data))
        for number, prediction in zip(good, predictions, strict=True):
            answers[number] = _caught(self._encode, requests[number], contexts[number], prediction)
        return list(answers.values())

    def _run(self, request: Request, context: Context) -> Answer:
        function = self._handler.transform_fn
        if function is not None:
            content, kind = _receive(function, request.body, request.content_type)
            wanted = self._wanted(function, request.accept)
            result = self._call(function, context, self._model, content, kind, wanted)
            return _to_answer(result, wanted, context)
        data = self._decode(request, context)
        return self._encode(
            request, context, self._call(self._handler.predict_fn, context, data, self._model)
        )

    def _decode(self, request: Request, context: Context) -> Any:
        function = self._handler.input_fn
        try:
            return self._call(function, context, *_receive(function, request.body, request.content_type))
        except ValueError as error:
            # A decoder says ValueError of a body that it cannot read (json, csv, numpy and pandas all do),
            # so it is the client's fault: 400, as sagemaker-containers answers (HANDLER-10, HANDLER-50).
            print_traceback()
            raise RequestError(400, f"{type(error).__name__}: {error}") from None

    def _encode(self, request: Request, context: Context, prediction: Any) -> Answer:
        if isinstance(prediction, Exception):
            raise prediction
        function = self._handler.output_fn
        wanted = self._wanted(function, request.accept)
        return _to_answer(self._call(function, context, prediction, wanted), wanted, context)

    def _predict_together(self, data: list[Any], contexts: list[Context]) -> Sequence[Any]:
        """One prediction an item, or the exception that it raised.

        Where they cannot be predicted together, each is on its own: one bad request fails alone.
        """
        function = self._handler.predict_batch_fn
        if len(data) > 1 and function is not None:
            try:
                arguments = (data, self._model, contexts) if function.takes_context else (data, self._model)
                predictions: Sequence[Any] = self._finish(function.call(*arguments))
                if len(predictions) == len(data):
                    return predictions
                print(
                    f"predict_batch_fn returned {len(predictions)} predictions for {len(data)} requests.",
                    file=sys.stderr,
                    flush=True,
                )
            except Exception:
                print_traceback()
        predict_fn = self._handler.predict_fn
        return [
            _or_exception(self._call, predict_fn, context, item, self._model)
            for item, context in zip(data, contexts, strict=True)
        ]

    def _call(self, function: Function, context: Context, *arguments: Any) -> Any:
        if function.takes_context:
            arguments = (*arguments, context)
        return self._finish(function.call(*arguments))

    def _finish(self, result: Any) -> Any:
        """The result itself, or what a coroutine comes to."""
        if not asyncio.iscoroutine(result):
            return result
        if self._runner is None:
            self._runner = asyncio.Runner()  # one loop for all requests: clients that it holds stay open
        return self._runner.run(result)

    def _wanted(self, function: Function, accept: str | None) -> str:
        if accept and accept.strip() != _WILDCARD:
            return accept
        return self._default_accept or (JSON if function.is_users else _WILDCARD)


def _caught(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns, or the Answer to what it raises."""
    try:
        return function(*arguments)
    except RequestError as error:
        return error_answer(error.status, error.message, error.details)
    except Exception as error:
        status = getattr(error, "status_code", None)  # as sagemaker-inference's own errors (HANDLER-21)
        if isinstance(status, int) and 400 <= status <= 599:
            return error_answer(status, str(getattr(error, "message", error)))
        print_traceback()
        return error_answer(500, f"{type(error).__name__}: {error}")


def _or_exception(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        return error


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
    charset = media_type.parameters.get("charset", "utf-8")
    return (to_text(body, charset) if _is_text(media_type.type) else body), content_type


def _is_text(name: str) -> bool:
    return name.startswith("text/") or name == JSON or name in JSON_LINES or name.endswith("+json")


def _to_answer(result: Any, wanted: str, context: Context) -> Answer:
    content_type = JSON if "*" in wanted or "," in wanted else wanted
    if isinstance(result, tuple) and len(result) == 2:  # HANDLER-12
        result, content_type = result
    content_type = context.response_content_type or content_type
    if isinstance(result, str):
        result = result.encode()
    if not isinstance(result, bytes | bytearray | memoryview):
        raise TypeError(
            f"the handler returned a {type(result).__name__}; return bytes, str or (body, content type)"
        )
    if not isinstance(content_type, str) or not content_type.isascii() or not content_type.isprintable():
        raise TypeError(f"the handler returned {content_type!r} as content type; return one such as {JSON}")
    headers = tuple(context.response_headers.items())
    return Answer(context.status or 200, content_type, bytes(result), headers=headers)
