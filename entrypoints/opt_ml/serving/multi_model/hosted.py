"""One model inside a shared process: compiled where it has a quick path, native from when that is needed."""

from __future__ import annotations

import gc
import threading
from functools import cache
from pathlib import Path

from opt_ml.errors import is_out_of_memory
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.invocation import Model, Request
from opt_ml.serving.outcomes import describe, print_traceback
from opt_ml.serving.quick import QuickRequest, quick_path_of
from opt_ml.serving.workers.joiner import Guard


class HostedModel:
    """A model of the image's own handler.

    With a quick path it is loaded without any framework, and a thousand such models are small. The frameworks
    come with the first request that the quick path leaves to them. The quick path is for one thread, and
    `answer_natively` for any.

    Args:
        directory: its files.

    Raises:
        UserError: the handler cannot load it.
        Exception: whatever else `model_fn` raises.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._native: Model | None = None
        self._lock = threading.Lock()  # a handler need not know of threads
        quick = quick_path_of(directory)
        self._quick = None if quick is None else Guard(quick)
        if self._quick is None:
            self._native = self._load_native()

    @property
    def joins(self) -> bool:
        """True where several requests are predicted at once."""
        return self._native is None or self._native.joins

    @property
    def wants_headers(self) -> bool:
        """True where a function of the handler takes a context; a quick path does not."""
        return self._native is not None and self._native.wants_headers

    def close(self) -> None:
        """Let go of what the handler keeps open."""
        if self._native is not None:
            self._native.close()

    def answer(self, requests: list[Request]) -> list[Answer | None]:
        """The answers, in the order of the requests; None for one that needs the native model, not there yet.

        Args:
            requests: one, or more where `joins`.
        """
        answers = self._answer_quickly(requests)
        left = [request for request, answer in zip(requests, answers, strict=True) if answer is None]
        if not left or self._native is None:
            return answers
        native = iter(self.answer_natively(left))
        return [next(native) if answer is None else answer for answer in answers]

    def answer_natively(self, requests: list[Request]) -> list[Answer]:
        """The same, by the frameworks; they are loaded where they are not yet."""
        with self._lock:
            if self._native is None:
                try:
                    self._native = self._load_native()
                except BaseException as error:  # a model that its quick path could do without until now
                    return [_failure(error)] * len(requests)
            if len(requests) > 1 and self._native.joins:
                return self._native.run(self._native.answer_together(requests))  # type: ignore[no-any-return]
            return [self._native.run(_whole_answer(self._native, request)) for request in requests]

    def _answer_quickly(self, requests: list[Request]) -> list[Answer | None]:
        if self._quick is None:
            return [None] * len(requests)
        most = max(1, self._quick.most_rows)
        answers: list[Answer | None] = []
        for start in range(0, len(requests), most):
            some = [QuickRequest(*request[:3]) for request in requests[start : start + most]]
            answers += self._quick.answer(some)
        return answers

    def _load_native(self) -> Model:
        # Here, so that a host of models with quick paths imports no framework.
        from opt_ml.serving.handler import load_handler

        handler = load_handler(self._directory)
        _freeze_libraries()
        model = Model(handler, str(self._directory))
        try:
            model.run(model.load())
        except BaseException:
            model.close()
            raise
        return model


def _failure(error: BaseException) -> Answer:
    print_traceback()
    cause = describe(error)
    return error_answer(507 if is_out_of_memory(cause) else 500, cause)


@cache
def _freeze_libraries() -> None:
    """Leave what the handler's import brought out of collections: it stays, and walking it takes 200 ms."""
    gc.freeze()


async def _whole_answer(model: Model, request: Request) -> Answer:
    """The answer to one request, a stream as a whole: the others of its message wait for it."""
    answer = await model.answer(request)
    return answer if isinstance(answer, Answer) else await answer.whole()
