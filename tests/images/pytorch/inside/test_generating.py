"""Handlers that generate: tokens are sent while the model computes the next ones."""

from __future__ import annotations

import json

import pytest
import torch
from opt_ml.serving.invocation import Request
from opt_ml.serving.streams import Stream

LANGUAGE_MODEL = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(64, 16)
        self.cells = nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 64)

    def forward(self, tokens, state=None):
        hidden, state = self.cells(self.embedding(tokens), state)
        return self.head(hidden[:, -1]), state
"""
HANDLER = """
import json
import torch

calls = []

def predict_fn(data, model):
    count = int(data["parameters"]["max_new_tokens"])
    tokens = [ord(letter) - ord(" ") for letter in data["inputs"]]
    return generate(torch.tensor([tokens]), model, count)

@torch.inference_mode()
def generate(tokens, model, count):
    state = None
    try:
        for _ in range(count):
            scores, state = model(tokens, state)
            tokens = scores.argmax(dim=1, keepdim=True)
            calls.append(tokens.item())
            yield {"token": tokens.item()}
    finally:
        calls.append("closed")
"""


@pytest.fixture
def generator(model_dir, serve):
    """The served model, with weights of its own."""
    torch.manual_seed(3)
    space = {}
    exec(LANGUAGE_MODEL, space)
    net = space["Net"]().eval()
    torch.save(net.state_dict(), model_dir / "model.pth")
    return net, serve({"model.py": LANGUAGE_MODEL, "inference.py": HANDLER})


def request(count):
    body = json.dumps({"inputs": "!#$", "parameters": {"max_new_tokens": count}})
    return Request(body.encode(), "application/json", "application/jsonlines")


def expected(net, count):
    """The tokens, all at once."""
    tokens = [1, 3, 4]
    with torch.inference_mode():
        for _ in range(count):
            scores, _ = net(torch.tensor([tokens]))
            tokens.append(int(scores.argmax()))
    return tokens[3:]


@pytest.mark.contract("HOST-61")
def test_each_token_is_sent_before_the_next_is_computed(generator):
    import inference

    net, model = generator
    stream = model.run(model.answer(request(8)))
    assert isinstance(stream, Stream)
    assert len(inference.calls) == 1
    found = [json.loads(stream.head.body)["token"]]
    while (part := model.run(stream.next())) is not None:
        found.append(json.loads(part)["token"])
        assert inference.calls == found
    model.run(stream.close())
    assert found == expected(net, 8)


def test_a_client_that_goes_away_ends_the_generation(generator):
    import inference

    _, model = generator
    stream = model.run(model.answer(request(1000)))
    model.run(stream.next())
    model.run(stream.close())
    assert inference.calls[-1] == "closed"
    assert len(inference.calls) == 3
    assert not torch.is_inference_mode_enabled()


def test_a_prompt_that_fails_has_a_status(generator):
    _, model = generator
    body = json.dumps({"inputs": "!~", "parameters": {"max_new_tokens": 2}}).encode()
    answer = model.run(model.answer(Request(body, "application/json", None)))
    assert answer.status == 500
    assert "index out of range" in json.loads(answer.body)["error"]
