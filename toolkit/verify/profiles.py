"""The profile of an image: one of tests/conformance/profiles, a file, and what the caller says besides."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.verify.claims import NAMES, Claims
from toolkit.verify.contract import SUITE

PROFILES = SUITE / "profiles"
SCRIPTS = "script-mode"  # the profile of an image that trains and serves with the user's code
RECORD_TYPES = ("text/csv", "application/jsonlines", "application/x-jsonlines", "text/libsvm")
# Wrong requests that no server can answer well, whatever its model.
_WRONG = {
    "unknown-type": {"body": "1,2,3,4\n", "content_type": "application/x-unknown", "status": [400, 406, 415]},
    "garbage": {
        "body": "\u0000\u0001garbage\u0002",
        "content_type": "application/json",
        "status": [400, 415, 422],
    },
}


@dataclass(frozen=True)
class Given:
    """What the caller says of an image.

    Attributes:
        profile: a name or a file; empty for what fits.
        model: a model.tar.gz or a directory.
        channels: name -> path.
        hyperparameters: of a job that lasts seconds.
        payload: one good request.
        content_type: of it.
        accept: of the answers.
        only: `train` or `serve`, where the image is there for one of them.
    """

    profile: str = ""
    model: Path | None = None
    channels: Mapping[str, Path] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    payload: bytes | None = None
    content_type: str = ""
    accept: str = ""
    only: str = ""


def base_name(image: str) -> str:
    """The last part of a reference, without tag and digest."""
    return image.rpartition("/")[2].partition(":")[0].partition("@")[0]


def choose(image: str, claims: Claims, given: Given) -> str:
    """The profile that stands under what the caller says; empty for none.

    Raises:
        ToolkitError: there is none of that name.
    """
    name = given.profile
    if name:
        if not (Path(name).is_file() or (PROFILES / f"{name}.toml").is_file()):
            known = ", ".join(sorted(path.stem for path in PROFILES.glob("*.toml")))
            raise ToolkitError(f"There is no profile {name}.", f"Name a TOML file, or one of {known}.")
        return str(Path(name).absolute()) if Path(name).is_file() else name
    if (PROFILES / f"{base_name(image)}.toml").is_file():
        return base_name(image)
    return SCRIPTS if claims["script_mode"][0] and claims["handlers"][0] else ""


def settled(claims: Claims, base: str, given: Given) -> dict[str, tuple[bool, str]]:
    """The claims that count: a profile says more than an image shows, and the caller more than both."""
    counting = {**claims, **_of_profile(base)}
    if given.only:
        other = "serve" if given.only == "train" else "train"
        counting[other] = (False, f"only `{given.only}` is asked for")
    return counting


def write_profile(path: Path, base: str, claims: Claims, given: Given, has_python: bool = True) -> None:
    """Write the profile of this run as JSON.

    Args:
        path: the file; the payload is written beside it.
        base: from `choose`.
        claims: from `settled`.
        given: by the caller.
        has_python: whether `python3` is on the image's PATH.
    """
    training: dict[str, Any] = {name: claims[name][0] for name in ("train", "script_mode")}
    serving: dict[str, Any] = {name: claims[name][0] for name in claims if name not in training}
    serving["python"] = has_python
    if not base:
        serving["wrong_requests"] = _WRONG
    _add_given(training, serving, given)
    if given.payload is not None:
        body = path.with_name("payload")
        body.write_bytes(given.payload)
        serving["body"] = str(body)
    document = {
        **({"like": base} if base else {}),
        "lacks": {name: why for name, (claimed, why) in claims.items() if not claimed},
        "training": training,
        "serving": serving,
    }
    path.write_text(json.dumps(document), encoding="utf-8")


def _add_given(training: dict[str, Any], serving: dict[str, Any], given: Given) -> None:
    if given.hyperparameters:
        training["hyperparameters"] = dict(given.hyperparameters)
    if given.channels:
        training["channels"] = {name: str(path.absolute()) for name, path in given.channels.items()}
        training["faults"] = {}
    if given.model:
        serving["model"] = str(given.model.absolute())
    if given.content_type:
        serving["content_type"] = given.content_type
        serving["records"] = given.content_type.partition(";")[0].strip() in RECORD_TYPES
    if given.accept:
        serving["accept"] = given.accept
    elif given.payload is not None or given.content_type:
        serving["accept"] = None


def _of_profile(base: str) -> dict[str, tuple[bool, str]]:
    """What a profile says of the image's claims."""
    if not base:
        return {}
    path = Path(base) if Path(base).is_file() else PROFILES / f"{base}.toml"
    text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ToolkitError(f"{path}: {error}") from None
    found = _of_profile(document["like"]) if "like" in document else {}
    values = {**document.get("training", {}), **document.get("serving", {})}
    found |= {
        name: (bool(values[name]), f"the profile {path.stem} says so") for name in NAMES if name in values
    }
    lacking = {row["lacks"]: row["reason"] for row in document.get("differences", []) if row.get("lacks")}
    return found | {name: (False, reason) for name, reason in lacking.items()}
