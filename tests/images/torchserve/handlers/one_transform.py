"""One function in place of three, with a context."""

import json

import torch


def model_fn(model_dir, context):
    return torch.jit.load(f"{model_dir}/model.pt")


def transform_fn(model, request_body, content_type, accept, context):
    context.set_response_header(0, "x-classes", "3")
    pictures = torch.tensor(json.loads(request_body), dtype=torch.float32)
    return json.dumps(model(pictures).argmax(dim=1).tolist()), "application/json"
