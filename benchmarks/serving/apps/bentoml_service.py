"""A BentoML service. The body is text/plain: a route whose whole body is one `str` takes no other type."""

from __future__ import annotations

import os

import bentoml
import ensemble


@bentoml.service(workers=int(os.environ["BENCHMARK_WORKERS"]), logging={"access": {"enabled": False}})
class Ensemble:
    """One a worker."""

    def __init__(self) -> None:
        self._models = ensemble.load(os.environ["BENCHMARK_MODEL"])

    @bentoml.api(route="/invocations")
    def invocations(self, body: str, /) -> str:
        """Predict one request."""
        return ensemble.write(ensemble.predict(ensemble.parse(body), self._models))
