"""The four functions of the PyTorch toolkit, as published examples have them."""

import json
from pathlib import Path

import torch
from sentiment import Sentiment, tokenize


def model_fn(model_dir):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Sentiment()
    with Path(model_dir, "model.pth").open("rb") as file:
        model.load_state_dict(torch.load(file, map_location=device))
    return model.to(device).eval()


def input_fn(request_body, request_content_type):
    if request_content_type != "application/json":
        raise ValueError(f"Unsupported content type: {request_content_type}")
    return torch.tensor([tokenize(text) for text in json.loads(request_body)["texts"]])


def predict_fn(input_data, model):
    with torch.no_grad():
        return model(input_data)


def output_fn(prediction, accept):
    return json.dumps({"positive": prediction[:, 1].tolist()}), accept
