"""What an image claims to do, found out from outside: labels, entrypoint, programs and what they import."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.machine.containers import engine
from toolkit.machine.run_spec import RunSpec
from toolkit.verify.layers import ImageFiles

PREFIX = "com.amazonaws.sagemaker.capabilities."
SHELL_FORM = ["/bin/sh", "-c"]
LABELS = {
    "pipeline": "accept-bind-to-port",
    "multi_model": "multi-models",
    "bidirectional": "bidirectional-streaming",
}
# What an image may claim, in words.
NAMES = {
    "train": "trains",
    "serve": "serves",
    "script_mode": "runs your training script",
    "handlers": "takes your inference.py",
    "pipeline": "shares a network in a pipeline",
    "multi_model": "serves many models",
    "bidirectional": "streams both ways",
    "sessions": "keeps sessions",
    "chats": "answers chat completions",
    "log_level": "logs requests by the level asked for",
}
PROBE_LIMIT = 8.0  # seconds for a first look at what `train` does
LISTENING = "0A"  # the state in /proc/net/tcp

# What a start script imports -> whose rules for the user's code it follows.
_SCRIPT_MODE = re.compile(r"sagemaker_training|sagemaker_containers|opt_ml\.training")
_HANDLERS = re.compile(r"sagemaker_inference|sagemaker_\w+_(serving_)?container|opt_ml\.serving")
_REFUSES = re.compile(r"invalid choice|unrecognized argument|unknown command|usage:", re.IGNORECASE)

Claims = Mapping[str, tuple[bool, str]]


@dataclass(frozen=True)
class Command:
    """How a word such as `train` is run.

    Attributes:
        is_there: something would run.
        why: for people.
        text: the beginning of the program, where it is a script.
        takes_any: an ENTRYPOINT runs whatever the word is.
    """

    is_there: bool
    why: str
    text: str = ""
    takes_any: bool = False


def find_claims(image: str, facts: Mapping[str, Any], files: ImageFiles) -> dict[str, tuple[bool, str]]:
    """What the image claims -> (whether, why that is believed).

    Args:
        image: a local reference.
        facts: what `docker image inspect` says.
        files: of its layers.
    """
    train, serve = _command("train", facts, files), _command("serve", facts, files)
    labels = facts["Config"].get("Labels") or {}
    trains = (train.is_there, train.why)
    if train.takes_any:
        trains = _try_train(image, train)
    claims = {
        "train": trains,
        "serve": (serve.is_there, serve.why),
        "script_mode": _made_of(_SCRIPT_MODE, train, "runs your program"),
        "handlers": _made_of(_HANDLERS, serve, "takes your code/inference.py"),
    }
    for name, label in LABELS.items():
        holds = labels.get(PREFIX + label) == "true"
        claims[name] = (holds, f"{'its' if holds else 'no'} label ...capabilities.{label}=true")
    for name in ("sessions", "chats", "log_level"):
        claims[name] = (False, "nothing of an image says it: name it in a profile")
    return claims


def _command(word: str, facts: Mapping[str, Any], files: ImageFiles) -> Command:
    """TRAIN-02, HOST-02: the word is appended to ENTRYPOINT, or is itself the program."""
    entrypoint = facts["Config"].get("Entrypoint") or []
    own = files.program(word)
    if entrypoint[:2] == SHELL_FORM:
        return Command(True, f"ENTRYPOINT in shell form: {' '.join(entrypoint[2:])}", takes_any=True)
    if not entrypoint:
        if own:
            return Command(True, f"{own} is on PATH", files.text(own))
        return Command(False, f"there is no `{word}` on PATH, and no ENTRYPOINT")
    text = files.text(own) if own else ""
    script = next((files.text(found) for one in entrypoint if (found := files.program(one))), "")
    named = bool(own) or bool(re.search(rf"\b{word}\b", script))
    return Command(True, f"ENTRYPOINT {entrypoint} takes the word", text or script, takes_any=not named)


def _made_of(pattern: re.Pattern[str], command: Command, what: str) -> tuple[bool, str]:
    if found := pattern.search(command.text):
        return True, f"it {what}: its start script names {found[0]}"
    return False, f"nothing says that it {what}"


def _try_train(image: str, command: Command) -> tuple[bool, str]:
    """A server that starts whatever the word is does not train."""
    spec = RunSpec(image=image, command=("train",), purpose="verify", network="none")
    try:
        with engine().run(spec) as container:
            deadline = time.monotonic() + PROBE_LIMIT
            while time.monotonic() < deadline and container.is_running():
                if _listens(container):
                    return False, f"{command.why}; with `train` it starts a server as well"
                time.sleep(0.3)
            if not container.is_running() and _REFUSES.search("\n".join(container.lines())):
                return False, f"{command.why}, and refuses `train`"
    except ToolkitError as error:
        return False, error.message
    return True, command.why


def _listens(container: Any) -> bool:
    try:
        table = container.exec(["cat", "/proc/net/tcp"], b"").decode()
    except ToolkitError:
        return False
    return any(line.split()[3:4] == [LISTENING] for line in table.splitlines())
