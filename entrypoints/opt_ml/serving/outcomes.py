"""What comes of a handler's code: a result, or the answer to what it raised."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from opt_ml.errors import RequestError, is_out_of_memory
from opt_ml.serving.answers import error_answer
from opt_ml.serving.settings import is_multi_model

# By which attributes errors tell their status and their message.
_CHOSEN = (
    ("status_code", "message"),  # sagemaker-inference's own (HANDLER-21)
    ("status_code", "detail"),  # FastAPI and Starlette
    ("status_code", "args"),
    ("error_code", "message"),  # PredictionException of TorchServe and of multi-model-server
    ("code", "description"),  # Werkzeug and Flask
)


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits, and so needs no event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("something awaited outside an event loop")


async def caught(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What the coroutine returns, or the Answer to what it raises."""
    try:
        return await coroutine
    except RequestError as error:
        return error_answer(error.status, error.message, error.details)
    except MemoryError as error:
        print_traceback()
        cause = f"{describe(error)}: there is not enough memory for this request."
        return error_answer(
            507 if is_multi_model() else 503,  # of many models the platform unloads one then (MME-12)
            f"{cause} Send less at once, use fewer workers, or a larger instance.",
        )
    except BaseException as error:  # a handler that calls sys.exit fails one request, not its worker
        if is_cancelled(error):
            raise
        chosen = _chosen(error)
        if chosen is not None:
            return error_answer(*chosen)
        print_traceback()
        cause = describe(error)
        return error_answer(507 if is_multi_model() and is_out_of_memory(cause) else 500, cause)


def _chosen(error: BaseException) -> tuple[int, str] | None:
    """The status and the message that whoever raised it has chosen for the client, or None."""
    for status_name, message_name in _CHOSEN:
        status, message = getattr(error, status_name, None), getattr(error, message_name, None)
        if isinstance(status, int) and 400 <= status <= 599 and message is not None:
            return status, str(error if message_name == "args" else message)
    return None


async def caught_text(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, str | None]:
    """What the coroutine returns and None, or None and what it raises, in one text."""
    try:
        return await coroutine, None
    except BaseException as error:
        if is_cancelled(error):
            raise
        print_traceback()
        return None, describe(error)


def is_cancelled(error: BaseException) -> bool:
    """True where we have cancelled the task at hand, rather than the handler something of its own."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs
        return False
    return task is not None and task.cancelling() > 0


def describe(error: BaseException) -> str:
    """An exception in one text."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its own __str__ has a bug
        return type(error).__name__


def print_traceback() -> None:
    """The exception in hand goes to the log, never to the client."""
    with suppress(OSError, ValueError, AttributeError):  # the handler has closed stderr, or replaced it
        sys.stderr.write(traceback.format_exc())  # in one piece, so that workers' lines do not mix
        sys.stderr.flush()
