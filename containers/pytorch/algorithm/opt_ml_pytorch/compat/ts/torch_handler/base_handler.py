"""The class that TorchServe handlers extend: load, then preprocess, inference and postprocess of a batch."""

from __future__ import annotations

import importlib
import logging
import os
import time
from typing import Any

import torch
from ts.utils.util import list_classes_from_module, load_label_mapping

from opt_ml_pytorch.compiling import INDUCTOR, has_compiler

_INDEX_TO_NAME = "index_to_name.json"
_log = logging.getLogger(__name__)


class BaseHandler:
    """A handler of TorchScript models, and of state dicts with their class.

    Attributes:
        model: what `initialize` has loaded.
        mapping: class number as text -> label, of index_to_name.json, or None.
        device, map_location: where the model lies.
        context, manifest: of the archive.
        model_pt_path: the model's file.
        model_yaml_config: the content of model-config.yaml, or an empty dict.
        initialized, explain, target, profiler_args: for subclasses, as in TorchServe.
    """

    def __init__(self) -> None:
        self.model: Any = None
        self.mapping: dict[str, str] | None = None
        self.device: torch.device | None = None
        self.initialized = False
        self.context: Any = None
        self.model_pt_path: str | None = None
        self.manifest: Any = None
        self.map_location: str | None = None
        self.model_yaml_config: dict[str, Any] = {}
        self.explain = False
        self.target = 0
        self.profiler_args: dict[str, Any] = {}

    def initialize(self, context: Any) -> None:
        """Load the model.

        Raises:
            RuntimeError: the archive names no model file, or one that is not TorchScript, without a class.
        """
        properties = context.system_properties
        gpu = properties.get("gpu_id")
        self.map_location = "cuda" if torch.cuda.is_available() and gpu is not None else "cpu"
        self.device = torch.device(f"cuda:{gpu}" if self.map_location == "cuda" else "cpu")
        self.manifest = context.manifest
        self.model_yaml_config = getattr(context, "model_yaml_config", None) or {}
        model_dir = properties["model_dir"]
        described = self.manifest["model"]
        if "serializedFile" in described:
            self.model_pt_path = os.path.join(model_dir, described["serializedFile"])  # noqa: PTH118 - a str
        model_file = described.get("modelFile", "")
        if model_file:
            self.model = self._load_pickled_model(model_dir, model_file, self.model_pt_path)
            self.model.to(self.device)
        elif self.model_pt_path is not None and self.model_pt_path.endswith(".pt"):
            self.model = self._load_torchscript_model(self.model_pt_path)
        else:
            raise RuntimeError(
                f"{self.model_pt_path or 'no serializedFile'}: neither TorchScript (.pt) nor weights with a "
                "modelFile. Load the model in initialize."
            )
        self.model.eval()
        self._compile()
        self.mapping = load_label_mapping(os.path.join(model_dir, _INDEX_TO_NAME))  # noqa: PTH118
        self.initialized = True

    def _compile(self) -> None:
        """Have `torch.compile` at the model, where `pt2` of model-config.yaml asks for it."""
        options = _compile_options(self.model_yaml_config.get("pt2"))
        if options is None:
            return
        if options.get("backend", INDUCTOR) == INDUCTOR and not has_compiler():
            _log.warning("pt2 of model-config.yaml needs a C++ compiler, and here is none: not compiled.")
            return
        self.model = torch.compile(self.model, **options)

    def _load_torchscript_model(self, model_pt_path: str) -> Any:
        return torch.jit.load(model_pt_path, map_location=self.device)

    def _load_pickled_model(self, model_dir: str, model_file: str, model_pt_path: str | None) -> Any:
        module = importlib.import_module(model_file.split(".")[0])
        classes = list_classes_from_module(module)
        if len(classes) != 1:
            names = ", ".join(one.__name__ for one in classes) or "none"
            raise ValueError(f"{model_file} must define one class, the model, but has {names}.")
        model = classes[0]()
        if model_pt_path:
            model.load_state_dict(torch.load(model_pt_path, map_location=self.device, weights_only=True))
        return model

    def preprocess(self, data: Any) -> Any:
        """The input of `inference`, of a batch of requests."""
        return torch.as_tensor(data, device=self.device)

    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        """What the model says."""
        with torch.inference_mode():
            return self.model(data.to(self.device), *args, **kwargs)

    def postprocess(self, data: Any) -> Any:
        """A list of one answer a request."""
        return data.tolist()

    def handle(self, data: Any, context: Any) -> Any:
        """A list of one answer for each of the requests."""
        started = time.perf_counter()
        self.context = context
        if self._is_asked_to("describe"):
            output: Any = [self.describe_handle()]
        else:
            prepared = self.preprocess(data)
            if self._is_explain():
                output = self.explain_handle(prepared, data)
            else:
                output = self.postprocess(self.inference(prepared))
        context.metrics.add_time("HandlerTime", round((time.perf_counter() - started) * 1000, 2), None, "ms")
        return output

    def explain_handle(self, data_preprocess: Any, raw_data: Any) -> Any:
        """What `get_insights` of the subclass says of the first request."""
        row = raw_data[0]
        inputs = target = None
        if isinstance(row, dict):
            inputs, target = row.get("data") or row.get("body"), row.get("target")
        return self.get_insights(data_preprocess, inputs, target or 0)  # type: ignore[attr-defined]

    def describe_handle(self) -> Any:
        """What the handler says of itself, where a subclass has something to say."""
        return None

    def get_device(self) -> torch.device | None:
        """Where the model lies."""
        return self.device

    def _is_explain(self) -> bool:
        is_asked = self._is_asked_to("explain")
        self.explain = self.explain or is_asked
        return is_asked

    def _is_asked_to(self, header: str) -> bool:
        return bool(self.context and self.context.get_request_header(0, header) == "True")


def _compile_options(pt2: Any) -> dict[str, Any] | None:
    """The arguments of `torch.compile`; None where it is not asked for.

    Args:
        pt2: of model-config.yaml: `{compile: {enable: true, backend: ...}}`, or as in older archives a
            backend's name or the arguments themselves.

    Raises:
        ValueError: none of these.
    """
    if isinstance(pt2, str):
        return {"backend": pt2}
    if not isinstance(pt2 or {}, dict):
        raise ValueError(f"pt2 of model-config.yaml must be a backend's name or an object, not {pt2!r}.")
    if not pt2 or "export" in pt2:
        return None
    if "compile" not in pt2:
        return dict(pt2)
    options = dict(pt2["compile"])
    return options if options.pop("enable", False) else None
