"""Writes a tiny language model with random weights into DIRECTORY, as `save_pretrained` of transformers does.

    python make_model.py DIRECTORY

It strings a hundred words together: it stands for a model of yours, so that an endpoint can be tried out in
seconds and without a download.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

START, END, UNKNOWN = "<|start|>", "<|end|>", "<|unknown|>"
WORDS = """
system user assistant the a river house tree garden stone bridge bird cat child friend night morning summer
winter old new green quiet small large slow early far near sings runs sleeps waits finds keeps opens and or
but under over beside into from in with without never always often again today hello who what where when why
how is are was do you i we they it not yes no please thank . , ? !
"""
TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message.role }}\n{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def main(directory: Path) -> None:
    """Write the tokenizer and the model."""
    vocabulary = {word: number for number, word in enumerate((UNKNOWN, START, END, *WORDS.split()))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token=START, eos_token=END, pad_token=END, unk_token=UNKNOWN
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(directory)

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
