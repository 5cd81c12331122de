"""A runtime of MLServer: a linear model, CSV in and out on the routes that SageMaker asks for."""

import io
import json
from pathlib import Path

import numpy as np
from fastapi import Depends, Header, Request, Response
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, NumpyRequestCodec
from mlserver.errors import InferenceError
from mlserver.handlers import custom_handler
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


async def read_body(request: Request) -> str:
    """As text: what a handler gets goes to another process."""
    return (await request.body()).decode()


class Linear(MLModel):
    """Weights, one a column."""

    async def load(self) -> bool:
        """Read the weights."""
        self._weights = np.array(json.loads(Path(await get_model_uri(self._settings)).read_text()))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The open inference protocol."""
        rows = NumpyRequestCodec.decode_request(payload)
        output = NumpyCodec.encode_output("predictions", rows @ self._weights)
        return InferenceResponse(model_name=self.name, outputs=[output])

    @custom_handler(rest_path="/ping", rest_method="GET")
    async def ping(self) -> str:
        """The model is loaded: MLServer adds the routes of a model after that."""
        return "\n"

    @custom_handler(rest_path="/invocations")
    async def invocations(
        self, body: str = Depends(read_body), content_type: str = Header(default="")
    ) -> Response:
        """Predict each row of a CSV body."""
        kind = content_type.partition(";")[0].strip().lower()
        if kind != "text/csv":
            raise InferenceError(f"{kind} is not supported")
        try:
            rows = np.loadtxt(io.StringIO(body), delimiter=",", ndmin=2)
            predictions = rows @ self._weights
        except ValueError as error:
            raise InferenceError(str(error)) from error
        return Response("".join(f"{value}\n" for value in predictions), media_type="text/csv")
