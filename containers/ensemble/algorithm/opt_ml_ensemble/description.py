"""model.json: what was trained from what. It is read here without the frameworks that made the model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opt_ml.errors import UserError

from opt_ml_ensemble.schema import Schema

FORMAT = 1
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class Description:
    """What model.json says.

    Attributes:
        schema: columns, label, task, classes.
        output: what a request gets that does not ask; see `outputs`.
        content: all of it.
    """

    schema: Schema
    output: str
    content: Mapping[str, Any]


def read_description(directory: Path) -> Description:
    """The description of the model in a directory.

    Raises:
        UserError: no model.json, or one that is broken or of another format.
    """
    path = directory / DESCRIPTION
    with reading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.get("format")
    if found != FORMAT:
        raise UserError(
            f"{path} has format {found!r}, this image reads {FORMAT}. "
            "Serve it with the image that trained it."
        )
    with reading(path):
        return Description(Schema.from_json(content["schema"]), str(content["output"]), content)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever a library raises at a file that is missing or broken into one line for the user."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if not path.exists():
            raise UserError(
                f"{path} does not exist. Serve a model that this image's train command wrote, with all files."
            ) from None
        # XGBoost appends its stack, line by line.
        cause = next(iter(str(error).strip().splitlines()), "")[:300] or "no cause given"
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}: {cause}). "
            "Serve a model that this image's train command wrote, as it wrote it."
        ) from None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Readable JSON, UTF-8, with a line feed at the end."""
    path.write_text(
        json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
