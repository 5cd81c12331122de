"""The image's `chat_fn`, for language models of transformers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opt_ml.errors import RequestError
from opt_ml.serving.chat.requests import NO_CHATS

from opt_ml_pytorch.language.pretrained import LanguageModel
from opt_ml_pytorch.language.wishes import read_wishes


def chat(request: Mapping[str, Any], model: Any) -> Iterator[str | dict[str, Any]]:
    """The parts of an answer; see `opt_ml.serving.chat`.

    Raises:
        RequestError: 404 for a model that is no language model, 400 for what it cannot do.
    """
    if not isinstance(model, LanguageModel):
        raise RequestError(404, NO_CHATS)
    from opt_ml_pytorch.language.generation import Generation  # transformers, which not every image has

    wishes = read_wishes(request, model)
    generation = Generation(model, wishes)
    yield from generation.texts()
    usage = {"prompt_tokens": wishes.prompt.shape[1], "completion_tokens": generation.tokens}
    yield {"finish_reason": generation.finish_reason, "usage": usage}
