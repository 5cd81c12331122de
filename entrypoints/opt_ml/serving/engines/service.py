"""`handle`, which workers of multi-model-server and TorchServe call, over the same `Model` as native ones.

The two call it alike: with no data to load the model, and then with the requests of a batch.
"""

from __future__ import annotations

import gc
import signal
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opt_ml.errors import UserError
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.engines.link import Busy, Event, tell
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model, Request
from opt_ml.serving.outcomes import caught, describe
from opt_ml.serving.settings import read_settings
from opt_ml.serving.streams import Stream

_loaded: tuple[Model, Busy] | None = None
_timeout = 0.0  # seconds for one prediction
_FORM = error_answer(
    415,
    "This server takes forms apart before the handler sees them. Send another Content-Type, or leave "
    "OPT_ML_SERVING_ENGINE out.",
)


def handle(data: Sequence[Mapping[str, Any]] | None, context: Any) -> list[bytes] | None:
    """Load the model where `data` is None, else answer requests (the servers' custom service).

    Args:
        data: one mapping a request; `body` holds what came.
        context: the server's; it has the headers, and takes status and headers of the answers.
    """
    global _loaded, _timeout
    if data is None:
        settings = read_settings()
        _timeout = settings.timeout
        _loaded = _load(str(settings.model_dir)), Busy()
        return None
    assert _loaded is not None  # noqa: S101 - the server loads before it sends requests
    model, busy = _loaded
    whole = [index for index, fields in enumerate(data) if "body" in fields or not fields]
    with busy.shown(), _time_limit(_timeout):
        requests = [_request(index, data[index], context) for index in whole]
        answers = dict(zip(whole, model.run(_answer(model, requests)), strict=True))
    found = [answers.get(index, _FORM) for index in range(len(data))]
    for index, answer in enumerate(found):
        _put_head(answer, index, context)
    return [bytes(answer.body) for answer in found]


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """End this worker where the block takes longer; the server answers 500 and starts another.

    By the kernel, whatever the prediction does then: a signal handler of Python's would wait for its end.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _load(model_dir: str) -> Model:
    try:
        model = Model(load_handler(Path(model_dir)), model_dir)
        model.run(model.load())
    except UserError as error:
        tell(Event("failed", str(error)))
        raise
    except BaseException as error:  # a model_fn may also say sys.exit
        tell(Event("failed", describe(error), traceback.format_exc()))
        raise
    gc.freeze()
    tell(Event("ready"))
    return model


def _request(index: int, fields: Mapping[str, Any], context: Any) -> Request:
    # TorchServe puts the types of the fields among the headers, as mappings.
    sent = context.get_all_request_header(index).items()
    headers = {name.lower(): value for name, value in sent if isinstance(value, str)}
    body = bytes(fields.get("body", b""))
    return Request(body, headers.get("content-type"), headers.get("accept"), headers)


async def _answer(model: Model, requests: Sequence[Request]) -> list[Answer]:
    """The answers; a stream is collected first, because these servers send whole answers only."""
    if model.joins and len(requests) > 1:
        return await model.answer_together(requests)
    return [await _whole(await model.answer(request)) for request in requests]


async def _whole(answer: Answer | Stream) -> Answer:
    return await caught(answer.whole()) if isinstance(answer, Stream) else answer


def _put_head(answer: Answer, index: int, context: Any) -> None:
    context.set_response_status(code=answer.status, idx=index)
    context.set_response_content_type(index, answer.content_type)
    for name, value in answer.headers:
        context.set_response_header(index, name, value)
    if answer.retry_after is not None:
        context.set_response_header(index, "Retry-After", str(answer.retry_after))
