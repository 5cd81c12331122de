"""`sagemaker_inference.decoder`."""

from opt_ml.serving.compat.array_codecs import decode
from opt_ml.serving.compat.array_codecs import read_csv as _csv_to_numpy
from opt_ml.serving.compat.array_codecs import read_json as _json_to_numpy
from opt_ml.serving.compat.array_codecs import read_npy as _npy_to_numpy

__all__ = ["_csv_to_numpy", "_json_to_numpy", "_npy_to_numpy", "decode"]
