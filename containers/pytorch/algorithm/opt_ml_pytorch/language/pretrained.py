"""A model and its tokenizer from a directory that `save_pretrained` wrote. Nothing is fetched (HOST-114)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from opt_ml.errors import RequestError, UserError

_CONFIG = "config.json"
_ENDINGS = ("ForCausalLM", "LMHeadModel")  # of the classes that go on with a text


@dataclass(frozen=True)
class LanguageModel:
    """What `chat_fn` gets.

    Attributes:
        network: a causal language model of transformers, ready to generate.
        tokenizer: its own, with a chat template.
    """

    network: Any
    tokenizer: Any

    def __call__(self, data: Any) -> Any:
        """Refuse what is no chat.

        Raises:
            RequestError: always.
        """
        raise RequestError(400, "This model answers chats only: send a JSON object with messages.")


def is_language_model(model_dir: Path) -> bool:
    """True for a directory whose config.json names a causal language model of transformers."""
    try:
        config = json.loads((model_dir / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    names = config.get("architectures") if isinstance(config, dict) else None
    return isinstance(names, list) and any(str(name).endswith(_ENDINGS) for name in names)


def load_language_model(model_dir: Path, device: torch.device) -> LanguageModel:
    """The model on `device`, in the number type that its files have.

    Raises:
        UserError: transformers is not there, a file is missing or damaged, or the tokenizer has no template.
    """
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer, logging
    except ImportError:
        raise UserError(
            f"{model_dir / _CONFIG} is of a language model, which needs transformers. Take an image that has "
            "it, such as pytorch-full-cpu, or name it in code/requirements.txt of the model."
        ) from None
    logging.disable_progress_bar()  # a log is no terminal
    try:
        tokenizer = AutoTokenizer.from_pretrained(model_dir, local_files_only=True)
        network = AutoModelForCausalLM.from_pretrained(model_dir, local_files_only=True, dtype="auto")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        cause = " ".join(str(error).split())[:400]
        raise UserError(f"{model_dir} cannot be read as a model of transformers: {cause}") from error
    if not tokenizer.chat_template:
        raise UserError(
            f"The tokenizer in {model_dir} has no chat template. Save it with one (chat_template.jinja), or "
            "write chat_fn(request, model) into code/inference.py."
        )
    return LanguageModel(network.to(device).eval(), tokenizer)
