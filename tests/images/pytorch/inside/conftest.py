"""Models of a few weights in a directory of their own, and the server's way to ask them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from opt_ml.serving.handler import load_handler
from opt_ml.serving.invocation import Model, Request
from opt_ml_pytorch import device, handler
from opt_ml_pytorch.settings import read_settings

NETWORK = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))

    def forward(self, rows):
        return self.layers(rows)
"""

Serve = Callable[..., Model]


@pytest.fixture
def net(tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    """Four numbers to three; in training mode, as a script leaves it."""
    path = tmp_path_factory.mktemp("script") / "network.py"  # TorchScript reads the source
    path.write_text(NETWORK)
    spec = importlib.util.spec_from_file_location("network", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(1)
    return module.Net()


@pytest.fixture
def expected(net: torch.nn.Module) -> Callable[[Any], torch.Tensor]:
    """What the network says, asked directly."""

    def ask(rows: Any) -> torch.Tensor:
        with torch.no_grad():
            return net.eval()(torch.as_tensor(rows, dtype=torch.float32))

    return ask


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def serve(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Load what lies in `model_dir` as a worker does: code/ files and environment are keyword arguments."""
    models: list[Model] = []
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)

    def start(code: Mapping[str, str] | None = None, **environment: str) -> Model:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for name, text in (code or {}).items():
            (model_dir / "code").mkdir(exist_ok=True)
            (model_dir / "code" / name).write_text(text)
        settings = read_settings()
        monkeypatch.setattr(handler, "_SETTINGS", settings)
        chosen = handler._predict_batch_fn if settings.most_rows > 1 else None
        monkeypatch.setattr(handler, "predict_batch_fn", chosen)
        device.chosen_device.cache_clear()
        model = Model(load_handler(model_dir), str(model_dir))
        models.append(model)
        model.run(model.load())
        return model

    yield start
    for model in models:
        model.close()
    for name in set(sys.modules) - modules:
        if name in ("model", "inference", "net"):
            del sys.modules[name]
    device.chosen_device.cache_clear()


@pytest.fixture
def ask() -> Callable[..., Any]:
    """The answer to one request."""

    def invoke(model: Model, body: Any, content_type: str | None, accept: str | None = None) -> Any:
        content = body if isinstance(body, bytes) else body.encode()
        return model.run(model.answer(Request(content, content_type, accept)))

    return invoke
