"""GET /execution-parameters: what batch transform asks for where a job does not say (BATCH-03, BATCH-05)."""

from __future__ import annotations

import orjson

from opt_ml.serving.settings import MEGABYTE, Settings


def execution_parameters(settings: Settings) -> bytes:
    """As JSON: as many requests at once as there are workers, with payloads for so many (BATCH-06)."""
    limit = settings.max_body or 100 * MEGABYTE
    transforms = min(settings.workers, 100)
    return orjson.dumps(
        {
            "MaxConcurrentTransforms": transforms,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": max(1, min(6, 100 // transforms, limit // MEGABYTE)),
        }
    )
