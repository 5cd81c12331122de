"""Of the Hugging Face toolkit: the mean of a sentence's tokens; bodies are left to the toolkit."""

import torch
from transformers import AutoModel, AutoTokenizer


def mean_pooling(model_output, attention_mask):
    mask = attention_mask.unsqueeze(-1).expand(model_output[0].size()).float()
    return (model_output[0] * mask).sum(1) / mask.sum(1).clamp(min=1e-9)


def model_fn(model_dir):
    return AutoModel.from_pretrained(model_dir), AutoTokenizer.from_pretrained(model_dir)


def predict_fn(data, model_and_tokenizer):
    model, tokenizer = model_and_tokenizer
    sentences = data.pop("inputs", data)
    encoded = tokenizer(sentences, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        found = mean_pooling(model(**encoded), encoded["attention_mask"])
    return {"vectors": torch.nn.functional.normalize(found, p=2, dim=1)[0].tolist()}
