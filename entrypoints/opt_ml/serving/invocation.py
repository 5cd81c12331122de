"""Requests through a loaded handler: every outcome is an `Answer`, never an exception."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from opt_ml.errors import RequestError
from opt_ml.serving import defaults
from opt_ml.serving.answers import Answer
from opt_ml.serving.chat.answering import answer_chat
from opt_ml.serving.chat.requests import NO_CHATS, find_chat, read_chat
from opt_ml.serving.codecs.charset import to_text
from opt_ml.serving.context import Context
from opt_ml.serving.handler import Function, Handler
from opt_ml.serving.media import JSON, JSON_LINES, OCTET_STREAM, parse_media_type
from opt_ml.serving.outcomes import caught, describe, drive, print_traceback
from opt_ml.serving.results import WITHOUT_BODY, choose_type, take_response, whole_answer
from opt_ml.serving.streams import Parts, Stream, encoder, is_raw, is_stream, type_of_objects
from opt_ml.serving.warm_up import check_answer, read_samples

_WILDCARD = "*/*"
_AUTOGLUON = "application/x-autogluon"  # AG-06


class Request(NamedTuple):
    """What a client sent to /invocations, or to the path of chats; None for a header that it left out."""

    body: bytes
    content_type: str | None
    accept: str | None
    headers: Mapping[str, str] | None = None
    is_chat: bool = False


class Model:
    """A handler and the model that its `model_fn` returned, ready for requests.

    All it does is coroutines, for `run`. Where the handler is not asynchronous they never wait.

    Args:
        handler: the functions.
        model_dir: passed to `model_fn`.
        has_loop: all of it runs in the event loop, even where the handler is not asynchronous.

    Attributes:
        is_async: several calls of `answer` may be awaited at once, in one event loop.
    """

    def __init__(self, handler: Handler, model_dir: str, has_loop: bool = False) -> None:
        self._handler = handler
        self._model_dir = model_dir
        self._model: Any = None
        self._only_chats = False
        self._has_loop = has_loop or handler.is_async
        self._runner = asyncio.Runner()  # one loop for all that the handler awaits: its clients stay open
        self.is_async = handler.is_async
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine."""
        return self._runner.run(coroutine) if self._has_loop else drive(coroutine)

    def close(self) -> None:
        """Cancel what still waits in the event loop, and end it."""
        self._runner.close()

    async def load(self) -> None:
        """Call `model_fn`, and what the handler has to do before and after it (HANDLER-06).

        Raises:
            UserError: the model cannot be used, or does not answer the requests to warm it up.
            Exception: whatever `model_fn` raises.
        """
        handler, context = self._handler, Context(self._model_dir)
        if handler.pre_model_fn is not None:
            await self._call(handler.pre_model_fn, context, self._model_dir)
        self._model = await self._call(handler.model_fn, context, self._model_dir)
        if handler.model_warmup_fn is not None:
            await self._call(handler.model_warmup_fn, context, self._model_dir, self._model)
        if handler.transform_fn is None and handler.predict_fn.call is defaults.predict:
            self._only_chats = handler.chat_fn is not None and not defaults.can_predict(self._model)
            if not self._only_chats:
                defaults.check_model(self._model)
        for sample in read_samples(Path(self._model_dir)):
            answer = await self.answer(Request(sample.body, sample.content_type, None, {}))
            check_answer(sample, await caught(answer.whole()) if isinstance(answer, Stream) else answer)

    @property
    def joins(self) -> bool:
        """True where several requests are predicted at once."""
        return self._handler.predict_batch_fn is not None

    @property
    def wants_headers(self) -> bool:
        """True where a function takes a context, which holds the request's headers."""
        return self._handler.wants_headers

    async def answer(self, request: Request) -> Answer | Stream:
        """Answer one request."""
        context = Context(self._model_dir, request.headers)
        return await caught(self._run(request, context))  # type: ignore[no-any-return]

    async def talk(self, stream: Any, headers: Mapping[str, str]) -> None:
        """Run `bidirectional_fn` on one client's stream, to its end."""
        function = self._handler.bidirectional_fn
        if function is not None:
            await self._call(function, Context(self._model_dir, headers), stream, self._model)

    async def answer_together(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer requests, each for itself: what is wrong with one is not seen by the others.

        Args:
            requests: two or more, of a handler that `joins`.

        Returns:
            as many answers, in the same order. A stream is whole: what is predicted together ends together.
        """
        contexts = [Context(self._model_dir, request.headers) for request in requests]
        data = [await caught(self._begin(*pair)) for pair in zip(requests, contexts, strict=True)]
        good = [number for number, item in enumerate(data) if not isinstance(item, Answer)]
        predictions = await self._predict_together(
            [data[number] for number in good], [contexts[number] for number in good]
        )
        answers = dict(enumerate(data))
        for number, prediction in zip(good, predictions, strict=True):
            answers[number] = await caught(self._encode_whole(requests[number], contexts[number], prediction))
        return list(answers.values())

    async def _begin(self, request: Request, context: Context) -> Any:
        """What is to be predicted, or the answer to a chat."""
        asked = self._find_chat(request)
        if asked is None:
            return await self._decode(request, context)
        answer = await self._chat(asked, context)
        return await answer.whole() if isinstance(answer, Stream) else answer

    def _find_chat(self, request: Request) -> dict[str, Any] | None:
        if self._handler.chat_fn is not None:
            read = read_chat if request.is_chat or self._only_chats else find_chat
            return read(request.body, request.content_type)
        if request.is_chat:
            raise RequestError(404, NO_CHATS)
        return None

    async def _chat(self, asked: dict[str, Any], context: Context) -> Answer | Stream:
        function = self._handler.chat_fn
        if function is None:
            raise RuntimeError("a handler without chat_fn has found a chat")
        result = await self._call(function, context, asked, self._model)
        return await answer_chat(asked, result, self._finish, context)

    async def _run(self, request: Request, context: Context) -> Answer | Stream:
        asked = self._find_chat(request)
        if asked is not None:
            return await self._chat(asked, context)
        function = self._handler.transform_fn
        if function is not None:
            content, kind = _receive(function, request.body, request.content_type)
            wanted = self._wanted(function, request.accept)
            try:
                result = await self._call(function, context, self._model, content, kind, wanted)
            except ValueError as error:
                raise _at_fault(error) from None
            return await self._to_answer(result, wanted, context)
        data = await self._decode(request, context)
        prediction = await self._call(self._handler.predict_fn, context, data, self._model)
        return await self._encode(request, context, prediction)

    async def _decode(self, request: Request, context: Context) -> Any:
        function = self._handler.input_fn
        content, kind = _receive(function, request.body, request.content_type)
        try:
            return await self._call(function, context, content, kind)
        except ValueError as error:
            raise _at_fault(error) from None

    async def _encode(self, request: Request, context: Context, prediction: Any) -> Answer | Stream:
        if isinstance(prediction, Exception):
            raise prediction
        function = self._handler.output_fn
        if is_stream(prediction) and not function.is_users:
            wanted = self._wanted(self._handler.predict_fn, request.accept)
            return await self._to_answer(prediction, wanted, context)
        wanted = self._wanted(function, request.accept)
        result = await self._call(function, context, prediction, wanted)
        return await self._to_answer(result, wanted, context)

    async def _encode_whole(self, request: Request, context: Context, prediction: Any) -> Answer:
        answer = await self._encode(request, context, prediction)
        return await answer.whole() if isinstance(answer, Stream) else answer

    async def _predict_together(self, data: list[Any], contexts: list[Context]) -> Sequence[Any]:
        """One prediction an item, or the exception that it raised.

        Where they cannot be predicted together, each is on its own: one bad request fails alone.
        """
        function = self._handler.predict_batch_fn
        if len(data) > 1 and function is not None:
            try:
                arguments = (data, self._model, contexts) if function.takes_context else (data, self._model)
                predictions: Sequence[Any] = function.call(*arguments)
                if isinstance(predictions, Awaitable):
                    predictions = await self._finish(predictions)
                if len(predictions) == len(data):
                    return predictions
                print(
                    f"predict_batch_fn returned {len(predictions)} predictions for {len(data)} requests.",
                    file=sys.stderr,
                    flush=True,
                )
            except RequestError:
                pass  # of one of them, which is asked again below and then has its answer
            except Exception:
                print_traceback()
        predict_fn = self._handler.predict_fn
        return [
            await _or_exception(self._call(predict_fn, context, item, self._model))
            for item, context in zip(data, contexts, strict=True)
        ]

    async def _call(self, function: Function, context: Context, *arguments: Any) -> Any:
        if function.takes_context:
            arguments = (*arguments, context)
        result = function.call(*arguments)
        return await self._finish(result) if isinstance(result, Awaitable) else result

    async def _finish(self, result: Awaitable[Any]) -> Any:
        """What an awaitable comes to, in the one loop of all requests."""
        return await result if self._has_loop else self._runner.run(_awaited(result))

    async def _to_answer(self, result: Any, wanted: str, context: Context) -> Answer | Stream:
        content_type = ""
        if isinstance(result, tuple) and len(result) == 2:  # HANDLER-12
            result, content_type = result
        elif hasattr(result, "get_data") and hasattr(result, "status_code"):
            # sagemaker-containers' worker.Response, which is a response of Flask
            result, content_type = take_response(result, context)
        if context.status in WITHOUT_BODY or not is_stream(result):
            return whole_answer(result, choose_type(content_type, wanted, context), context)
        parts = Parts(result, self._finish)
        try:
            first = await parts.next()  # before the head is sent: what fails until then has a status
        except StopAsyncIteration:
            return whole_answer(b"", choose_type(content_type, wanted, context), context)
        name = choose_type(content_type, wanted, context)
        if content_type == "" and context.response_content_type is None and not is_raw(first):
            name = type_of_objects(name)
        encode = encoder(name)
        return Stream(whole_answer(encode(first), name, context), parts, encode)

    def _wanted(self, function: Function, accept: str | None) -> str:
        if accept and accept.strip() != _WILDCARD:
            return accept
        return self._default_accept or (JSON if function.is_users else _WILDCARD)


def _at_fault(error: ValueError) -> RequestError:
    """A ValueError in the function that gets the body is the client's fault: 400.

    Decoders say it of a body that they cannot read (json, csv, numpy and pandas all do); so answer
    sagemaker-containers (HANDLER-10, HANDLER-50) and AutoGluon's image for its transform_fn (AG-08).
    """
    print_traceback()
    return RequestError(400, describe(error))


async def _or_exception(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coroutine
    except Exception as error:
        return error


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result


def _receive(function: Function, body: bytes, content_type: str | None) -> tuple[bytes | str, str]:
    """Body and content type as `function` expects them: see the rules in `handler`."""
    if not function.is_users:
        return body, content_type or OCTET_STREAM
    content_type = content_type or JSON
    media_type = parse_media_type(content_type)
    charset = media_type.parameters.get("charset", "utf-8")
    return (to_text(body, charset) if _is_text(media_type.type) else body), content_type


def _is_text(name: str) -> bool:
    known = name in (JSON, *JSON_LINES, _AUTOGLUON)
    return known or name.startswith("text/") or name.endswith("+json")
