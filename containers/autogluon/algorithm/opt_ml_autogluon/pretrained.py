"""Pretrained weights without a network: a channel, a folder of the image, or the model itself brings them.

AutoGluon and its libraries ask the model hub for weights by name, such as `autogluon/chronos-2`. The hub's
client first looks into its cache, so weights that a job brings are laid out as that cache, and the client is
told to stay offline: a missing weight is then an error at once, and not an attempt to reach the network.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from opt_ml.environment import Channel
from opt_ml.errors import UserError

CHANNEL = "pretrained"
BAKED = Path("/opt/pretrained")  # what the build context of that name brought
IN_MODEL = "pretrained"  # below the model directory: what serving needs
_CONFIGS = ("config.json", "model_index.json")


class Weights:
    """The weights that a job or an endpoint has, by their names on the model hub.

    Args:
        folders: name to folder.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = dict(folders)

    def __contains__(self, name: str) -> bool:
        return name in self._folders or Path(name).is_dir()

    def folder(self, name: str) -> Path:
        """Where weights lie.

        Raises:
            KeyError: nowhere.
        """
        return self._folders[name] if name in self._folders else Path(name)

    @property
    def names(self) -> list[str]:
        """All of them."""
        return sorted(self._folders)

    def missing(self, name: str, what: str) -> UserError:
        """The error for weights that are not there."""
        there = f"It has: {', '.join(self.names)}." if self.names else "The job has no weights."
        return UserError(
            f"{what} needs the pretrained weights {name!r}. Bring them in a channel {CHANNEL}, in a folder "
            f"{name} with config.json and the weights, as the model hub has them. {there}"
        )

    def keep(self, names: Iterable[str], model_dir: Path) -> None:
        """Copy weights into a model, so that serving finds them."""
        for name in names:
            shutil.copytree(self.folder(name), model_dir / IN_MODEL / name, dirs_exist_ok=True)


def find_weights(*directories: Path) -> Weights:
    """Every folder with a config.json below some directories, by its path there; the first one counts.

    Folders as the cache of the model hub has them (`models--google--electra`) go by the hub's name.
    """
    found: dict[str, Path] = {}
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            if path.name not in _CONFIGS or path.parent == directory:
                continue
            parts = path.parent.relative_to(directory).parts
            cached = next((part for part in parts if part.startswith("models--")), None)
            name = "/".join(parts) if cached is None else cached.removeprefix("models--").replace("--", "/")
            if not any(name.startswith(f"{known}/") for known in found):  # no part of a larger one
                found.setdefault(name, path.parent)
    return Weights(found)


@contextmanager
def offered(channel: Channel | None) -> Iterator[Weights]:
    """The weights of a job, within reach of the libraries until the block ends."""
    directories = [channel.directory] if channel is not None else []
    weights = find_weights(*directories, BAKED)
    with TemporaryDirectory(prefix="weights-") as cache:
        offer(weights, Path(cache))
        yield weights


def offer(weights: Weights, cache: Path) -> None:
    """Lay weights out as the cache of the model hub, and keep its client off the network."""
    for name in weights.names:
        entry = cache / ("models--" + name.replace("/", "--"))
        (entry / "refs").mkdir(parents=True)
        (entry / "refs" / "main").write_text("local")
        snapshot = entry / "snapshots" / "local"
        snapshot.mkdir(parents=True)
        for path in weights.folder(name).iterdir():
            (snapshot / path.name).symlink_to(path.resolve())
    os.environ.update(HF_HUB_CACHE=str(cache), HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:  # it has read the variables before
        vars(constants).update(HF_HUB_CACHE=str(cache), HF_HUB_OFFLINE=True)
