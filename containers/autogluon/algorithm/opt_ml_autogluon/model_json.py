"""model.json: what was trained from what; it lies beside AutoGluon's own files, whatever the task."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opt_ml.errors import UserError

FORMAT = 1
DESCRIPTION = "model.json"


@contextmanager
def read_model_json(directory: Path) -> Iterator[Mapping[str, Any]]:
    """The content of model.json, for a block that takes from it what it needs.

    Raises:
        UserError: no model.json, or one that is broken or of another format, which the block may find out.
    """
    path = directory / DESCRIPTION
    if not path.exists():
        raise UserError(
            f"{path} does not exist. Serve a model that this image's train command wrote, with all files, or "
            "bring code/inference.py with model_fn and transform_fn for one of your own."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise UserError(
                f"{path} has format {content['format']!r}, this image reads {FORMAT}. Serve it with the "
                "image that trained it."
            )
        yield content
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}: {error}). "
            "Serve a model that this image's train command wrote, as it wrote it."
        ) from None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """A JSON file for people and programs."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
