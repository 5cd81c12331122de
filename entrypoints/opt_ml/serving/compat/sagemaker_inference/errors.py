"""`sagemaker_inference.errors` (HANDLER-21)."""

from __future__ import annotations

from opt_ml.serving.compat.array_codecs import UnsupportedFormatError


class BaseInferenceToolkitError(Exception):
    """An error with the status that its client gets.

    Args:
        status_code: of the answer, 400 to 599.
        message: for the client.
        phrase: the status in words, which HTTP clients pass over.
    """

    def __init__(self, status_code: int, message: str, phrase: str = "") -> None:
        self.status_code, self.message, self.phrase = status_code, message, phrase
        super().__init__(status_code, message, phrase)


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """The same, where only the status is needed."""

    def __init__(self, status_code: int, message: str | None = None, phrase: str | None = None) -> None:
        super().__init__(status_code, message or "Invalid Request", phrase or "Invalid Request")


__all__ = ["BaseInferenceToolkitError", "GenericInferenceToolkitError", "UnsupportedFormatError"]
