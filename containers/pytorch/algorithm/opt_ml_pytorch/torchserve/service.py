"""An unpacked archive: its manifest, its handler, and calls of it."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from opt_ml.errors import RequestError, UserError

from opt_ml_pytorch import compat
from opt_ml_pytorch.device import chosen_device
from opt_ml_pytorch.torchserve.context import ArchiveContext

_DEFAULT_HANDLERS = ("image_classifier", "image_segmenter", "object_detector", "text_classifier")

Handle = Callable[[Any, ArchiveContext], Any]


class Service:
    """A handler that has loaded its model.

    Args:
        model_dir: holds MAR-INF/MANIFEST.json and the files that it names.
        batch_size: requests that one call may have.

    Raises:
        UserError: no manifest, or one that names no handler or one that cannot be used.
        Exception: whatever the handler raises when it loads.
    """

    def __init__(self, model_dir: Path, batch_size: int) -> None:
        manifest = _read(model_dir / "MAR-INF" / "MANIFEST.json")
        name = str(manifest.get("model", {}).get("handler", "")) if isinstance(manifest, Mapping) else ""
        if not name:
            raise UserError(f"{model_dir / 'MAR-INF' / 'MANIFEST.json'} names no handler of the model.")
        config = _read_config(model_dir, manifest["model"].get("configFile", ""))
        model_dir = _writable(model_dir)
        device = chosen_device()
        self._context = ArchiveContext(
            manifest, str(model_dir), device.index or 0 if device.type == "cuda" else None, batch_size, config
        )
        compat.offer()
        # A worker of TorchServe runs in the model's directory, and imports from there.
        os.chdir(model_dir)
        if str(model_dir) not in sys.path:
            sys.path.insert(0, str(model_dir))
        self._handle = _load_handler(name, model_dir, self._context)

    def handle(self, data: list[Any], contexts: Sequence[Any]) -> list[Any]:
        """One answer a request.

        Raises:
            RequestError: the status that the handler chose by PredictionException.
            ValueError: the handler returned another number of answers.
        """
        from ts.utils.util import PredictionException

        self._context.begin(contexts)
        try:
            answers = self._handle(data, self._context)
        except PredictionException as error:
            raise RequestError(error.error_code, str(error.message)) from None
        if not isinstance(answers, list) or len(answers) != len(data):
            found = f"{len(answers)} answers" if isinstance(answers, list) else f"a {type(answers).__name__}"
            raise ValueError(
                f"the handler returned {found} for {len(data)} requests; return a list of as many"
            )
        return answers


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist. `build.py migrate` makes a model's directory of a .mar archive."
        ) from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}).") from None


def _writable(model_dir: Path) -> Path:
    """A directory with the archive's files that a handler may add to, as TorchServe unpacks each archive to.

    Handlers extract weights beside their archive's files, and the model's own directory is read-only
    (HOST-21). The files are links, so that weights take no room twice.
    """
    if os.access(model_dir, os.W_OK):
        return model_dir
    copy = Path(tempfile.mkdtemp(prefix="archive-"))
    shutil.copytree(model_dir, copy, copy_function=os.symlink, dirs_exist_ok=True)
    copy.chmod(0o700)  # copytree gives it the mode of the other
    return copy


def _read_config(model_dir: Path, name: str) -> dict[str, Any]:
    """The content of model-config.yaml, which is the author's own beside TorchServe's few keys."""
    if not name:
        return {}
    import yaml

    try:
        content = yaml.safe_load((model_dir / name).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{model_dir / name} cannot be read: {' '.join(str(error).split())[:300]}") from None
    return content if isinstance(content, dict) else {}


def _load_handler(name: str, model_dir: Path, context: ArchiveContext) -> Handle:
    """The function to call, of a handler that has loaded its model."""
    file, _, function = name.partition(":")
    module_name = Path(file).name.removesuffix(".py")
    if module_name in _DEFAULT_HANDLERS:
        raise UserError(
            f"The archive uses TorchServe's own handler {module_name}, which needs torchvision or torchtext. "
            "Write a class that extends BaseHandler, or functions in code/inference.py."
        )
    if module_name == "base_handler":
        module_name = "ts.torch_handler.base_handler"
    elif not (model_dir / f"{module_name}.py").is_file():
        raise UserError(f"{model_dir / f'{module_name}.py'}, the archive's handler, does not exist.")
    module = importlib.import_module(module_name)
    handle = getattr(module, function or "handle", None)
    if handle is not None:
        handle(None, context)  # TorchServe's word for: load
        return handle  # type: ignore[no-any-return]
    handler = _handler_class(module, name)()
    handler.initialize(context)
    return handler.handle  # type: ignore[no-any-return]


def _handler_class(module: ModuleType, name: str) -> Any:
    classes = [
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if value.__module__ == module.__name__ and hasattr(value, "handle")
    ]
    if len(classes) != 1:
        found = ", ".join(one.__name__ for one in classes) or "none"
        raise UserError(f"{name} must define one class with handle, or a function handle, but has {found}.")
    return classes[0]
