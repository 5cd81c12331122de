"""Of the Hugging Face toolkit, as its documents have it: the library's classes and the toolkit's codecs."""

import torch
from sagemaker_huggingface_inference_toolkit import decoder_encoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def model_fn(model_dir):
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    return {"model": AutoModelForSequenceClassification.from_pretrained(model_dir), "tokenizer": tokenizer}


def input_fn(input_data, content_type):
    return decoder_encoder.decode(input_data, content_type)


def predict_fn(data, model):
    texts = data["inputs"]
    parameters = data.get("parameters", {"padding": True, "truncation": True, "max_length": 16})
    encoded = model["tokenizer"](texts, return_tensors="pt", **parameters)
    with torch.no_grad():
        scores = model["model"](**encoded).logits.softmax(dim=1).numpy()
    labels = model["model"].config.id2label
    return [{"label": labels[row.argmax()], "score": row.max()} for row in scores]


def output_fn(prediction, accept):
    return decoder_encoder.encode(prediction, accept)
