"""What a client asks of the text: from the request of a chat completion to arguments of `generate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jinja2.exceptions import TemplateError
from opt_ml.errors import RequestError

from opt_ml_pytorch.language.pretrained import LanguageModel


@dataclass(frozen=True)
class Wishes:
    """One request, understood.

    Attributes:
        prompt: tokens of the messages in the model's template, shape (1, tokens).
        most_tokens: of the answer.
        stops: texts before which the answer ends.
        seed: of the random numbers, or None.
        sampling: arguments of `generate`; empty for what the model's own settings say.
    """

    prompt: torch.Tensor
    most_tokens: int
    stops: tuple[str, ...]
    seed: int | None
    sampling: Mapping[str, Any]


def read_wishes(request: Mapping[str, Any], model: LanguageModel) -> Wishes:
    """What the request asks for.

    Raises:
        RequestError: 400 for what the model cannot do, with the key in `param`.
    """
    for key, usual in _UNSUPPORTED.items():
        if request.get(key) not in (None, *usual):
            raise RequestError(400, f"{key} is not supported by this model.", param=key)
    prompt = _prompt(request, model)
    room = _room(model) - prompt.shape[1]
    if room < 1:
        raise RequestError(
            400,
            f"The messages have {prompt.shape[1]} tokens, but the model reads at most {_room(model)}.",
            param="messages",
        )
    asked = request.get("max_completion_tokens") or request.get("max_tokens")
    stop = request.get("stop") or ()
    return Wishes(
        prompt=prompt,
        most_tokens=min(asked or model.network.generation_config.max_new_tokens or room, room),
        stops=tuple(text for text in ([stop] if isinstance(stop, str) else stop) if text),
        seed=request.get("seed"),
        sampling=_sampling(request),
    )


_UNSUPPORTED: Mapping[str, tuple[Any, ...]] = {
    "logprobs": (False,),
    "response_format": ({"type": "text"},),
    "logit_bias": ({},),
}


def _prompt(request: Mapping[str, Any], model: LanguageModel) -> torch.Tensor:
    messages = [_plain(message, number) for number, message in enumerate(request["messages"])]
    try:
        text = model.tokenizer.apply_chat_template(
            messages, tools=request.get("tools") or None, add_generation_prompt=True, tokenize=False
        )
    except TemplateError as error:  # templates refuse what their model has not learned, such as two users
        cause = f"The model's chat template refuses the messages: {error}"
        raise RequestError(400, cause, param="messages") from None
    encoded = model.tokenizer(text, add_special_tokens=False, return_tensors="pt")
    tokens: torch.Tensor = encoded["input_ids"].to(model.network.device)
    return tokens


def _plain(message: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The message with a list of parts of text joined, for templates know texts."""
    content = message.get("content")
    if not isinstance(content, list):
        return dict(message)
    return {**message, "content": "".join(_texts(content, number))}


def _texts(parts: Sequence[Any], number: int) -> list[str]:
    if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in parts):
        raise RequestError(400, "This model reads text only.", param=f"messages[{number}].content")
    return [part["text"] for part in parts]


def _room(model: LanguageModel) -> int:
    """Tokens that the model can read and write in all."""
    return int(getattr(model.network.config, "max_position_embeddings", None) or 4096)


def _sampling(request: Mapping[str, Any]) -> dict[str, Any]:
    """At temperature 0 the likeliest token is taken; without a wish the model's own settings decide."""
    temperature, top_p = request.get("temperature"), request.get("top_p")
    if temperature == 0:
        return {"do_sample": False}
    wishes = {
        name: value for name, value in (("temperature", temperature), ("top_p", top_p)) if value is not None
    }
    return {"do_sample": True, **wishes} if wishes else {}
