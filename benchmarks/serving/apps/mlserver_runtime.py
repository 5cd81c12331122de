"""An MLServer runtime: open inference protocol (V2), adaptive batching by the server."""

from __future__ import annotations

import os

import ensemble
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, NumpyRequestCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Ensemble(MLModel):
    """One a worker."""

    async def load(self) -> bool:
        """Load the model."""
        self._models = ensemble.load(os.environ["BENCHMARK_MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predict one request, or several that the server has joined."""
        rows = NumpyRequestCodec.decode_request(payload).astype("float32")
        output = NumpyCodec.encode_output("predictions", ensemble.predict(rows, self._models)[:, None])
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
