"""TorchScript modules are used frozen where that is faster and says the same."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from opt_ml.serving.invocation import Request
from opt_ml_pytorch import frozen, predicting
from torch import nn

JSON, NPY = "application/json", "application/x-npy"


@pytest.fixture(autouse=True)
def _always_faster(monkeypatch):
    """Which of the two is faster depends on the machine."""
    monkeypatch.setattr(frozen, "_GAIN", float("inf"))


class Pictures(nn.Module):
    """Pictures of one channel to three numbers, doubled where there are many."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.last = nn.Linear(8, 3)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(n, 1, height, width) to (n, 3)."""
        found = torch.relu(self.norm(self.first(pictures))).mean(dim=[2, 3])
        if len(pictures) > 4:
            found = found * 2
        return self.last(found)


class Random(nn.Module):
    """Says something else at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, 4) to (n, 4)."""
        return rows * self.weight + torch.rand_like(rows)


def scripted(module: nn.Module) -> torch.jit.ScriptModule:
    torch.manual_seed(1)
    return torch.jit.script(module.eval())


@pytest.mark.parametrize("rows", [1, 3, 5, 16])
def test_a_frozen_module_says_what_the_module_says(rows):
    module = scripted(Pictures())
    found = frozen.freeze(module, torch.rand(1, 1, 6, 6), 8)
    assert found.least_rows == 1
    pictures = torch.rand(rows, 1, 6, 6)
    with torch.inference_mode():
        torch.testing.assert_close(found.call(pictures), module(pictures), rtol=1e-4, atol=1e-5)


def test_rows_unlike_the_sample_go_to_the_module():
    found = frozen.freeze(scripted(Pictures()), torch.rand(1, 1, 6, 6), 8)
    assert found.suits(torch.rand(2, 1, 6, 6))
    for other in (torch.rand(2, 1, 8, 8), torch.rand(2, 1, 6, 6).double(), torch.rand(6), [[1.0]]):
        assert not found.suits(other)
    assert not found._replace(least_rows=4).suits(torch.rand(3, 1, 6, 6))


@pytest.mark.parametrize(
    "module",
    [Random(), nn.Linear(4, 3).half(), nn.ReLU()],
    ids=["says something else", "other weights", "no weights"],
)
def test_a_module_without_a_gain_from_it_is_used_as_it_is(module):
    assert frozen.freeze(scripted(module), torch.rand(2, 4), 8) is None


def test_a_module_of_python_is_used_as_it_is():
    assert frozen.freeze(Pictures().eval(), torch.rand(1, 1, 6, 6), 8) is None


def test_a_frozen_module_that_fails_is_no_failed_request(monkeypatch):
    def fail(rows: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a fault of the compiler's")

    module = scripted(Pictures())
    pictures = torch.rand(2, 1, 6, 6)
    expected = predicting.predict(pictures, module)
    predicting.prepare(module, pictures, 8)
    monkeypatch.setitem(predicting._frozen, module, predicting._frozen[module]._replace(call=fail))
    assert torch.equal(predicting.predict(pictures, module), expected)


def test_a_server_with_a_sample_answers_as_one_without(model_dir, serve):
    scripted(Pictures()).save(model_dir / "model.pt")
    pictures = np.random.default_rng(3).random((3, 1, 6, 6), dtype=np.float32)
    file = io.BytesIO()
    np.save(file, pictures)
    (model_dir / "sample.npy").write_bytes(file.getvalue())
    request = Request(file.getvalue(), NPY, JSON)
    plain = serve()
    expected = plain.run(plain.answer(request))
    before = len(predicting._frozen)
    prepared = serve(OPT_ML_WARM_UP="sample.npy")
    assert len(predicting._frozen) == before + 1
    answer = prepared.run(prepared.answer(request))
    values = [json.loads(one.body) for one in (answer, expected)]
    np.testing.assert_allclose(*values, rtol=1e-3, atol=1e-5)
