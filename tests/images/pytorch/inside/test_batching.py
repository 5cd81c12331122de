"""Requests that are predicted by one call of the model, where that was asked for."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.errors import RequestError
from opt_ml.serving.invocation import Request
from opt_ml_pytorch.batching import predict_together
from opt_ml_pytorch.settings import Settings, read_settings


class Doubles(torch.nn.Module):
    """Notes how many rows each call has."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, rows):
        self.calls.append(len(rows))
        return {"doubled": rows * 2, "sums": (rows.sum(dim=1),)}


@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    widths=st.lists(st.integers(1, 2), min_size=8, max_size=8),
    sizes=st.sets(st.integers(1, 8), max_size=3),
)
def test_each_request_gets_what_it_gets_alone(lengths, widths, sizes):
    data = [torch.rand(length, width) for length, width in zip(lengths, widths, strict=False)]
    model = Doubles()
    together = predict_together(data, model, Settings(most_rows=8, sizes=tuple(sorted(sizes))))
    assert max(model.calls) <= 8
    for item, prediction in zip(data, together, strict=True):
        assert torch.equal(prediction["doubled"], item * 2)
        assert torch.allclose(prediction["sums"][0], item.sum(dim=1))


def test_rows_are_padded_to_the_next_size():
    model = Doubles()
    data = [torch.ones(1, 2), torch.ones(2, 2)]
    predict_together(data, model, Settings(most_rows=8, sizes=(2, 4, 8)))
    predict_together([torch.ones(9, 2)], model, Settings(most_rows=8, sizes=(2, 4, 8)))
    assert model.calls == [4, 9]


def test_a_tensor_without_rows_goes_alone():
    model = torch.nn.Identity()
    data = [torch.ones(2), torch.ones(1, 2), torch.ones(2)]
    predictions = predict_together(data, model, Settings(most_rows=8))
    assert [prediction.shape for prediction in predictions] == [(2,), (1, 2), (2,)]


def test_one_bad_request_fails_alone():
    data = [torch.ones(1, 4), torch.ones(1, 3), torch.ones(2, 4)]
    first, bad, last = predict_together(data, torch.nn.Linear(4, 1), Settings(most_rows=8))
    assert isinstance(bad, RequestError)
    assert (first.shape, last.shape) == ((1, 1), (2, 1))


def test_a_model_that_mixes_its_rows_is_told():
    data = [torch.ones(1, 4), torch.ones(1, 4)]
    with pytest.raises(ValueError, match="OPT_ML_PYTORCH_BATCH"):
        predict_together(data, lambda rows: rows.sum(), Settings(most_rows=8))


@pytest.mark.contract("HANDLER-31")
def test_joined_requests_are_answered_as_alone(net, model_dir, serve, ask):
    torch.jit.script(net.eval()).save(model_dir / "model.pt")
    model = serve(SAGEMAKER_TS_BATCH_SIZE="16", OPT_ML_PYTORCH_BATCH_SIZES="4,16")
    assert model.joins
    bodies = [json.dumps([[number, 1, 2, 3]]).encode() for number in range(6)]
    bodies[2] = b"[[1, 2, 3]]"
    requests = [Request(body, "application/json", None) for body in bodies]
    together = model.run(model.answer_together(requests))
    alone = [model.run(model.answer(request)) for request in requests]
    assert [answer.status for answer in together] == [200, 200, 400, 200, 200, 200]
    for one, other in zip(together, alone, strict=True):
        if one.status == 200:
            assert torch.allclose(torch.tensor(json.loads(one.body)), torch.tensor(json.loads(other.body)))


def test_requests_are_not_joined_unless_asked_for(net, model_dir, serve):
    torch.jit.script(net.eval()).save(model_dir / "model.pt")
    assert not serve().joins
    assert read_settings({"OPT_ML_PYTORCH_BATCH": "8", "SAGEMAKER_TS_BATCH_SIZE": "2"}).most_rows == 8
