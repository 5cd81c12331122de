"""Plain FastAPI, as in countless bring-your-own-container samples."""

from __future__ import annotations

import os

import ensemble
from fastapi import FastAPI, Request, Response

app = FastAPI()
models = ensemble.load(os.environ["BENCHMARK_MODEL"])


@app.get("/ping")
def ping() -> Response:
    """Healthy: the model has been loaded."""
    return Response(status_code=200)


@app.post("/invocations")
async def invocations(request: Request) -> Response:
    """Predict one request."""
    rows = ensemble.parse(await request.body())
    return Response(ensemble.write(ensemble.predict(rows, models)), media_type="text/csv")
