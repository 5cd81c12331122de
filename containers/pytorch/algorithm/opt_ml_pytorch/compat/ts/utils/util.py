"""Functions and errors that TorchServe handlers use."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import ModuleType
from typing import Any


class PredictionException(Exception):  # noqa: N818 - TorchServe's name
    """The answer to a request: this status, with this message."""

    def __init__(self, message: str, error_code: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code


def list_classes_from_module(module: ModuleType, parent_class: type | None = None) -> list[type]:
    """The classes that a module itself defines, by name; those of `parent_class` only, where it is given."""
    classes = [
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if value.__module__ == module.__name__
    ]
    return classes if parent_class is None else [one for one in classes if issubclass(one, parent_class)]


def load_label_mapping(mapping_file_path: str) -> dict[str, str] | None:
    """The content of index_to_name.json, class number as text -> label; None where there is no such file.

    Raises:
        ValueError: it is no JSON object, or a label is no text.
    """
    path = Path(mapping_file_path)
    if not path.is_file():
        return None
    mapping = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(mapping, dict):
        raise ValueError(f'{path} must hold an object such as {{"0": "cat"}}.')
    if isinstance(mapping.get("object_type_names"), list):  # of old examples
        return {str(number): name for number, name in enumerate(mapping["object_type_names"])}
    labels = {
        key: value[-1] if isinstance(value, list) and value else value for key, value in mapping.items()
    }
    for key, label in labels.items():
        if not isinstance(label, str):
            raise ValueError(f"{path}: the label of {key} must be a text, not {label!r}.")
    return labels


def map_class_to_label(
    probs: list[list[float]],
    mapping: dict[str, str] | None = None,
    lbl_classes: list[list[int]] | None = None,
) -> list[dict[str, float]]:
    """For each list of probabilities an object label -> probability.

    Args:
        probs: of each request, one a class.
        mapping: class number as text -> label; without it the number is the label.
        lbl_classes: the class number of each probability, else its position.
    """
    if not isinstance(probs, list):
        raise TypeError("probs must be a list of lists; call tolist() first.")
    classes: Any = lbl_classes or [range(len(row)) for row in probs]
    return [
        {
            (mapping[str(number)] if mapping is not None else str(number)): probability
            for number, probability in zip(numbers, row, strict=True)
        }
        for numbers, row in zip(classes, probs, strict=True)
    ]
