"""`sagemaker_containers.beta.framework.errors`."""

from __future__ import annotations

from opt_ml.serving.compat.array_codecs import UnsupportedFormatError


class ClientError(Exception):
    """The client's mistake: 400."""

    status_code = 400


__all__ = ["ClientError", "UnsupportedFormatError"]
