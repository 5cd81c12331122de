"""`sagemaker_containers.beta.framework.encoders`."""

from opt_ml.serving.compat.array_codecs import decode, encode
from opt_ml.serving.compat.array_codecs import read_csv as csv_to_numpy
from opt_ml.serving.compat.array_codecs import read_json as json_to_numpy
from opt_ml.serving.compat.array_codecs import read_npy as npy_to_numpy
from opt_ml.serving.compat.array_codecs import write_csv as array_to_csv
from opt_ml.serving.compat.array_codecs import write_json as array_to_json
from opt_ml.serving.compat.array_codecs import write_npy as array_to_npy

__all__ = [
    "array_to_csv",
    "array_to_json",
    "array_to_npy",
    "csv_to_numpy",
    "decode",
    "encode",
    "json_to_numpy",
    "npy_to_numpy",
]
