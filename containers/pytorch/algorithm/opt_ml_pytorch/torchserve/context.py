"""The context of a TorchServe handler: of the archive, and of the requests of a batch by their places."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

_log = logging.getLogger("opt_ml_pytorch.torchserve")


class Metrics:
    """What a handler measures, as lines of the log of level DEBUG."""

    def add_metric(
        self, name: str, value: Any, unit: str = "", idx: Any = None, dimensions: Any = None
    ) -> None:
        """Any number."""
        _log.debug("%s=%s %s", name, value, unit)

    def add_counter(self, name: str, value: Any, idx: Any = None, dimensions: Any = None) -> None:
        """A count."""
        self.add_metric(name, value, "count", idx, dimensions)

    def add_time(
        self, name: str, value: Any, idx: Any = None, unit: str = "ms", dimensions: Any = None
    ) -> None:
        """A duration."""
        self.add_metric(name, value, unit, idx, dimensions)

    def add_size(
        self, name: str, value: Any, idx: Any = None, unit: str = "MB", dimensions: Any = None
    ) -> None:
        """A size."""
        self.add_metric(name, value, unit, idx, dimensions)

    def add_percent(self, name: str, value: Any, idx: Any = None, dimensions: Any = None) -> None:
        """A share."""
        self.add_metric(name, value, "percent", idx, dimensions)

    def add_error(self, name: str, value: Any, dimensions: Any = None) -> None:
        """A text."""
        self.add_metric(name, value, "", None, dimensions)


class ArchiveContext:
    """What TorchServe tells a handler, and takes from it.

    Args:
        manifest: of the archive.
        model_dir: where its files are.
        gpu: number of the GPU, or None.
        batch_size: requests that one call may have.
        config: the content of model-config.yaml.

    Attributes:
        model_name: of the manifest.
        system_properties: `model_dir`, `gpu_id`, `batch_size`, `server_name`, `server_version`.
        request_ids: place -> id of the request, of the present batch.
        request_processor: the requests of the present batch.
        model_yaml_config: as `config`.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        model_dir: str,
        gpu: int | None = None,
        batch_size: int = 1,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.manifest = manifest
        self.model_name = manifest["model"].get("modelName", "model")
        self.model_yaml_config = dict(config or {})
        self.metrics = Metrics()
        self.system_properties = {
            "model_dir": model_dir,
            "gpu_id": gpu,
            "batch_size": batch_size,
            "server_name": "MMS",  # as TorchServe says
            "server_version": "0.12.0",
            "limit_max_image_pixels": True,
        }
        self.request_processor: Sequence[Any] = []
        self.request_ids: dict[int, str] = {}

    def begin(self, requests: Sequence[Any]) -> None:
        """The handler is called for these requests, each an `opt_ml.serving.context.Context`."""
        self.request_processor = requests
        self.request_ids = {place: request.get_request_id() for place, request in enumerate(requests)}

    def get_request_id(self, idx: int = 0) -> str | None:
        """The client's name for a request."""
        return self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        """A header of a request, whatever the case of its name."""
        value: str | None = self.request_processor[idx].get_request_property(key)
        return value

    def get_sequence_id(self, idx: int) -> str | None:
        """The client's name for a sequence of requests, a header; None without one."""
        return self.get_request_header(
            idx, os.environ.get("TS_REQUEST_SEQUENCE_ID", "ts_request_sequence_id")
        )

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        """All headers of a request, names in lower case."""
        headers: dict[str, str] = self.request_processor[idx].get_all_request_header()
        return headers

    def set_response_content_type(self, idx: int, value: str) -> None:
        """The Content-Type of an answer."""
        self.request_processor[idx].set_response_content_type(0, value)

    def get_response_content_type(self, idx: int) -> str | None:
        """What `set_response_content_type` has set."""
        value: str | None = self.request_processor[idx].get_response_content_type()
        return value

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """The status of an answer."""
        self.request_processor[idx].set_response_status(code, phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """The status of all answers of the batch."""
        for request in self.request_processor:
            request.set_response_status(code, phrase)

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """A further header of an answer; `content-type` is its Content-Type, as in TorchServe."""
        if key.lower() == "content-type":
            self.set_response_content_type(idx, value)
        else:
            self.request_processor[idx].set_response_header(0, key, value)
