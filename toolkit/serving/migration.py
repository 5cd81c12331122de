"""A TorchServe archive (.mar) to a model's directory that the PyTorch image serves on the native server.

The archive's files stay as they are, with MAR-INF/MANIFEST.json; code/inference.py is written, five functions
of `opt_ml_pytorch.torchserve` that call the archive's own handler.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError, WorkError

MANIFEST = Path("MAR-INF", "MANIFEST.json")
INFERENCE = '''"""Runs this model's TorchServe handler on the native server; written by `build.py migrate`."""

from opt_ml_pytorch.torchserve import input_fn, model_fn, output_fn, predict_batch_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_batch_fn", "predict_fn"]
'''
# What `opt_ml_pytorch.compat` has of TorchServe.
_KNOWN = {
    "ts": {"torch_handler", "handler_utils", "utils", "context"},
    "ts.torch_handler": {"base_handler"},
    "ts.torch_handler.base_handler": {"BaseHandler"},
    "ts.handler_utils": {"timer"},
    "ts.handler_utils.timer": {"timed"},
    "ts.utils": {"util"},
    "ts.utils.util": {
        "PredictionException",
        "list_classes_from_module",
        "load_label_mapping",
        "map_class_to_label",
    },
    "ts.context": {"Context"},
}
_BASE = "ts.torch_handler.base_handler.BaseHandler"
_OF_TORCHVISION = ("image_classifier", "image_segmenter", "object_detector", "text_classifier")
_BATCH = re.compile(r"^batchSize\s*:\s*(\d+)\s*(#.*)?$", re.MULTILINE)


@dataclass
class Migration:
    """What an archive holds.

    Attributes:
        facts: what was found, name -> text.
        problems: why it cannot run on the native server; empty where it can.
        batch_size: requests that TorchServe would have joined; 1 for none.
    """

    facts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    batch_size: int = 1


def migrate(archive: Path, output: Path) -> Migration:
    """Write the model's directory `output` of an archive.

    Args:
        archive: a .mar, zip or tar, or the directory of an unpacked one.
        output: a directory that is not there yet.

    Returns:
        what was found; it has no problems.

    Raises:
        ToolkitError: no archive, or `output` is there already.
        WorkError: the handler needs what the native server cannot give; nothing is written.
    """
    if output.exists():
        raise ToolkitError(f"{output} exists already.", "Name another directory with --output, or remove it.")
    with tempfile.TemporaryDirectory(prefix="opt-ml-migrate-") as scratch:
        model = Path(scratch) / "model"
        _unpack(archive, model)
        found = inspect(model)
        if found.problems:
            raise WorkError(f"{archive} cannot run on the native server:\n  " + "\n  ".join(found.problems))
        code = model / "code"
        code.mkdir(exist_ok=True)
        (code / "inference.py").write_text(INFERENCE, encoding="utf-8")
        requirements = _manifest(model).get("requirementsFile", "")
        if requirements and requirements != "requirements.txt":  # which is found beside the model
            shutil.copy(model / requirements, code / "requirements.txt")
        shutil.copytree(model, output)
    return found


def inspect(model: Path) -> Migration:
    """What the unpacked archive in `model` holds, and what of it stands in the way.

    Raises:
        ToolkitError: no manifest, or one that describes no model.
    """
    described = _manifest(model)
    found = Migration()
    found.facts["model"] = " ".join(
        str(described[key]) for key in ("modelName", "modelVersion") if key in described
    )
    handler = str(described.get("handler", ""))
    found.facts["handler"] = _inspect_handler(model, handler, found)
    weights, with_class = described.get("serializedFile"), described.get("modelFile")
    if weights:
        found.facts["weights"] = f"{weights}, with the class of {with_class}" if with_class else str(weights)
    for key, what in (
        ("serializedFile", "weights"),
        ("modelFile", "class"),
        ("requirementsFile", "packages"),
    ):
        if described.get(key) and not (model / str(described[key])).is_file():
            found.problems.append(
                f"The manifest names {described[key]} ({what}), which is not in the archive."
            )
    if described.get("requirementsFile"):
        found.facts["packages"] = f"{described['requirementsFile']}, installed when the container starts"
    _inspect_config(model, str(described.get("configFile", "")), found)
    for path in sorted(model.rglob("*.py")):
        found.problems += _foreign_imports(path)
    return found


def _inspect_handler(model: Path, handler: str, found: Migration) -> str:
    name = Path(handler.partition(":")[0]).name.removesuffix(".py")
    path = model / f"{name}.py"
    if path.is_file():
        return handler
    if name == "base_handler":
        return "TorchServe's base_handler"
    if name in _OF_TORCHVISION:
        found.problems.append(
            f"It uses TorchServe's own handler {name}, which needs torchvision or torchtext. Write a class "
            "that extends BaseHandler, and archive it with the model."
        )
    else:
        found.problems.append(f"The manifest names the handler {handler!r}, which is not in the archive.")
    return handler


def _inspect_config(model: Path, name: str, found: Migration) -> None:
    if not name:
        return
    found.facts["configuration"] = name
    try:
        text = (model / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        found.problems.append(f"The manifest names the configuration {name}, which cannot be read.")
        return
    if match := _BATCH.search(text):
        found.batch_size = int(match[1])


def _foreign_imports(path: Path) -> Iterator[str]:
    """The imports of TorchServe's own modules that there is nothing for."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        yield f"{path.name} is no Python that can be read: {error}."
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
            missing = [name for name in names if name.split(".")[0] == "ts" and name not in _KNOWN]
        elif (
            isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ts" and not node.level
        ):
            module = str(node.module)
            names = [name.name for name in node.names]
            missing = [f"{module}.{name}" for name in names if name not in _KNOWN.get(module, ())]
        else:
            continue
        for name in missing:
            cure = f" Extend {_BASE} instead." if name.startswith("ts.torch_handler") else ""
            problem = f"imports {name}, which the native server does not have.{cure}"
            yield f"{path.name}, line {node.lineno}: {problem}"


def _manifest(model: Path) -> Mapping[str, Any]:
    path = model / MANIFEST
    cure = "Name a .mar archive that torch-model-archiver has made, or the directory of an unpacked one."
    try:
        described = json.loads(path.read_text(encoding="utf-8"))["model"]
    except FileNotFoundError:
        raise ToolkitError(f"There is no {MANIFEST}, so this is no TorchServe archive.", cure) from None
    except (ValueError, KeyError, TypeError):
        described = None
    if not isinstance(described, dict):
        raise ToolkitError(f"{MANIFEST} describes no model.", cure)
    return described


def _unpack(archive: Path, model: Path) -> None:
    try:
        if archive.is_dir():
            shutil.copytree(archive, model)
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(model)  # noqa: S202 - it leaves out `..` and what leads out of a path
        else:
            with tarfile.open(archive) as packed_tar:
                packed_tar.extractall(model, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise ToolkitError(f"{archive} is no archive that can be read: {error}.") from None
    except FileNotFoundError:
        raise ToolkitError(f"{archive} does not exist.", "Name a .mar archive, or its directory.") from None
