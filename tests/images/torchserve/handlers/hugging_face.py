"""Of the Hugging Face toolkit: a model with its tokenizer, and `predict_fn` of the decoded JSON."""

import torch
from sentiment import Sentiment, tokenize


def model_fn(model_dir, context=None):
    model = Sentiment()
    model.load_state_dict(torch.load(f"{model_dir}/model.pth", weights_only=True))
    return model.eval(), tokenize


def predict_fn(data, model_and_tokenizer):
    model, tokenizer = model_and_tokenizer
    texts = data.pop("inputs", data)
    with torch.no_grad():
        scores = model(torch.tensor([tokenizer(text) for text in texts]))
    found = scores.max(dim=1)
    return [
        {"label": ("NEGATIVE", "POSITIVE")[place], "score": score}
        for place, score in zip(found.indices.tolist(), found.values.tolist(), strict=True)
    ]
