"""A BentoML service of one API, and the middleware of its SageMaker operator: two paths, renamed."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import bentoml
import numpy as np

PATHS = {"/ping": "/livez", "/invocations": "/predict"}
WEIGHTS = np.array([3.0, -2.0, 1.0, 0.0])
Scope = MutableMapping[str, Any]


class SageMakerRoutes:
    """Hands what SageMaker asks for to what BentoML has."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] == "http":
            scope["path"] = PATHS.get(scope["path"], scope["path"])
        await self._app(scope, receive, send)


@bentoml.service
class Linear:
    """Weights, one a column."""

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predict each row."""
        return rows @ WEIGHTS


Linear.add_asgi_middleware(SageMakerRoutes)
