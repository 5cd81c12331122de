"""One model inside a shared process: compiled where it has a quick path, native from when that is needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from opt_ml.serving.answers import Answer
from opt_ml.serving.jobs import RequestFacts
from opt_ml.serving.quick import QuickRequest, find_quick

if TYPE_CHECKING:
    from opt_ml.serving.invocation import Model, Request


class HostedModel:
    """A model of the image's own handler.

    With a quick path it is loaded without any framework, and a thousand such models are small. The frameworks
    come with the first request that the quick path leaves to them.

    Args:
        directory: its files.

    Raises:
        UserError: the handler cannot load it.
        Exception: whatever else `model_fn` raises.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._native: Model | None = None
        self._quick = find_quick(directory, os.environ)
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

    def answer(self, requests: list[tuple[bytes, RequestFacts]]) -> list[Answer]:
        """The answers, in the order of the requests (bodies with facts).

        Args:
            requests: one, or more where `joins`.
        """
        if self._quick is None:
            return self._answer_natively(requests)
        most = max(1, self._quick.most_rows)
        quick: list[Answer | None] = []
        for start in range(0, len(requests), most):
            joined = [
                QuickRequest(body, facts[0], facts[1]) for body, facts in requests[start : start + most]
            ]
            quick += self._quick.answer(joined)
        left = [request for request, answer in zip(requests, quick, strict=True) if answer is None]
        native = iter(self._answer_natively(left) if left else ())
        return [next(native) if answer is None else answer for answer in quick]

    def _answer_natively(self, requests: list[tuple[bytes, RequestFacts]]) -> list[Answer]:
        from opt_ml.serving.invocation import Request

        if self._native is None:
            self._native = self._load_native()
        whole = [Request(body, facts[0], facts[1], facts[3]) for body, facts in requests]
        if len(whole) > 1 and self._native.joins:
            return self._native.run(self._native.answer_together(whole))  # type: ignore[no-any-return]
        return [self._native.run(_whole_answer(self._native, request)) for request in whole]

    def _load_native(self) -> Model:
        # Here, so that a host of models with quick paths imports neither codecs nor a framework.
        from opt_ml.serving.handler import load_handler
        from opt_ml.serving.invocation import Model

        model = Model(load_handler(self._directory), str(self._directory))
        try:
            model.run(model.load())
        except BaseException:
            model.close()
            raise
        return model


async def _whole_answer(model: Model, request: Request) -> Answer:
    """The answer to one request, a stream as a whole: the others of its message wait for it."""
    answer = await model.answer(request)
    return answer if isinstance(answer, Answer) else await answer.whole()
