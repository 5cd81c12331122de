"""`sagemaker_inference.default_inference_handler`, which handlers import with the rest, or extend."""

from __future__ import annotations

from typing import Any

from opt_ml.serving.compat.array_codecs import WRITTEN, UnsupportedFormatError, decode, encode
from opt_ml.serving.compat.sagemaker_inference.utils import parse_accept


class DefaultInferenceHandler:
    """The functions that stand in for those that an inference.py leaves out: arrays in, arrays out."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """For subclasses.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("There is no default model_fn here: write one.")

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        """An array of a request's body; see `decoder.decode`."""
        return decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """For subclasses.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("There is no default predict_fn here: write one.")

    def default_output_fn(self, prediction: Any, accept: str, context: Any = None) -> tuple[Any, str]:
        """The body of an answer and its type, the first of the Accept header that can be written.

        Raises:
            UnsupportedFormatError: none can.
        """
        for content_type in parse_accept(accept):
            if content_type in WRITTEN:
                return encode(prediction, content_type), content_type
        raise UnsupportedFormatError(accept)
