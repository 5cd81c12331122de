"""Media types by the names of `sagemaker_inference.content_types`."""

from opt_ml.serving.compat.array_codecs import ANY, CSV, JSON, NPY, NPZ, OCTET_STREAM, UTF8_TYPES

__all__ = ["ANY", "CSV", "JSON", "NPY", "NPZ", "OCTET_STREAM", "UTF8_TYPES"]
