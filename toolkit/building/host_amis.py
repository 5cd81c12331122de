"""Which host an endpoint of a CUDA image needs; from data/inference_amis.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).parent.parent / "data" / "inference_amis.toml"


def realtime(cuda: str) -> str | None:
    """The oldest InferenceAmiVersion whose driver runs libraries of this CUDA; None where none does.

    Args:
        cuda: such as `13.0`.
    """
    major = int(cuda.partition(".")[0])
    for ami in _table()["realtime"]:
        if int(ami["cuda"].partition(".")[0]) >= major:
            return str(ami["name"])
    return None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(_TABLE.read_text(encoding="utf-8"))
