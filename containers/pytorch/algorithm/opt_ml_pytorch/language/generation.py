"""The text of an answer while the model generates it, in a thread beside the one that sends it."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

from opt_ml_pytorch.language.pretrained import LanguageModel
from opt_ml_pytorch.language.wishes import Wishes


class Generation:
    """One answer; iterate over `texts` once, and then see how it ended.

    Args:
        model: see `LanguageModel`.
        wishes: of the client.

    Attributes:
        tokens: generated so far.
        finish_reason: `length` where the limit ended it, else `stop`.
    """

    def __init__(self, model: LanguageModel, wishes: Wishes) -> None:
        self._model = model
        self._wishes = wishes
        self._watch = _Watch(wishes.prompt.shape[1])
        self._failure: Exception | None = None
        self._has_stopped = False
        self._streamer = TextIteratorStreamer(model.tokenizer, skip_prompt=True, skip_special_tokens=True)

    @property
    def tokens(self) -> int:
        """Generated so far."""
        return self._watch.count

    @property
    def finish_reason(self) -> str:
        """How it ended."""
        ends = self._model.network.generation_config.eos_token_id
        has_ended = self._watch.last in (ends if isinstance(ends, list) else [ends])
        is_cut = self.tokens >= self._wishes.most_tokens and not (has_ended or self._has_stopped)
        return "length" if is_cut else "stop"

    def texts(self) -> Iterator[str]:
        """The pieces of the text, as soon as they are there. Closing it ends the generation, too.

        Raises:
            Exception: whatever the model raises.
        """
        thread = Thread(target=self._generate, name="generation", daemon=True)
        thread.start()
        try:
            yield from self._until_stop()
        finally:
            self._watch.is_over = True
            thread.join()
        if self._failure is not None:
            raise self._failure

    def _until_stop(self) -> Iterator[str]:
        """The text up to the first of the stops; what may be the begin of one is held back."""
        stops = self._wishes.stops
        longest = max(map(len, stops), default=1)
        held = ""
        for piece in self._streamer:
            held += piece
            places = [place for place in map(held.find, stops) if place >= 0]
            if places:
                self._has_stopped = True
                yield held[: min(places)]
                return
            sure = len(held) - longest + 1
            if sure > 0:
                yield held[:sure]
                held = held[sure:]
        yield held

    def _generate(self) -> None:
        wishes = self._wishes
        try:
            if wishes.seed is not None:
                torch.manual_seed(wishes.seed)
            self._model.network.generate(
                wishes.prompt,
                attention_mask=torch.ones_like(wishes.prompt),
                streamer=self._streamer,
                stopping_criteria=StoppingCriteriaList([self._watch]),
                max_new_tokens=wishes.most_tokens,
                pad_token_id=self._model.tokenizer.pad_token_id or self._model.tokenizer.eos_token_id,
                **wishes.sampling,
            )
        except Exception as error:
            self._failure = error
            self._streamer.end()


class _Watch(StoppingCriteria):  # type: ignore[misc]
    """Counts tokens, and ends the generation when nobody reads it any more."""

    def __init__(self, prompt: int) -> None:
        self._prompt = prompt
        self.count = 0
        self.last: int | None = None
        self.is_over = False

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.count = input_ids.shape[1] - self._prompt
        self.last = int(input_ids[0, -1])
        return torch.full((input_ids.shape[0],), self.is_over, dtype=torch.bool, device=input_ids.device)
