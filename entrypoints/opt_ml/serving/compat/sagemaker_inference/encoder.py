"""`sagemaker_inference.encoder`."""

from opt_ml.serving.compat.array_codecs import WRITTEN as SUPPORTED_CONTENT_TYPES
from opt_ml.serving.compat.array_codecs import encode
from opt_ml.serving.compat.array_codecs import write_csv as _array_to_csv
from opt_ml.serving.compat.array_codecs import write_json as _array_to_json
from opt_ml.serving.compat.array_codecs import write_npy as _array_to_npy

__all__ = ["SUPPORTED_CONTENT_TYPES", "_array_to_csv", "_array_to_json", "_array_to_npy", "encode"]
