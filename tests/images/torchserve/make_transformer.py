"""Writes a tiny transformer with its tokenizer as `save_pretrained` does; runs in an image with transformers.

Usage: python make_transformer.py OUTPUT
"""

import sys

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

WORDS = [
    "[PAD]",
    "[UNK]",
    "a",
    "again",
    "all",
    "and",
    "dull",
    "far",
    "film",
    "fine",
    "i",
    "it",
    "long",
    "see",
    "too",
]

words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
words.normalizer = normalizers.Lowercase()
words.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(
    tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
).save_pretrained(sys.argv[1])

torch.manual_seed(5)
config = BertConfig(
    vocab_size=len(WORDS),
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=32,
    initializer_range=0.5,  # random weights that tell one sentence from another
    id2label={0: "NEGATIVE", 1: "POSITIVE"},
    label2id={"NEGATIVE": 0, "POSITIVE": 1},
)
BertForSequenceClassification(config).save_pretrained(sys.argv[1])
