"""TorchServe archives: what is found in them, what is written, and what cannot be."""

from __future__ import annotations

import json
import tarfile
import zipfile

import pytest

from toolkit import cli
from toolkit.errors import ToolkitError, WorkError
from toolkit.serving.migration import MANIFEST, migrate

HANDLER = "from ts.torch_handler.base_handler import BaseHandler\nclass Mine(BaseHandler): ...\n"
MODEL = {"modelName": "digits", "modelVersion": "1.0", "handler": "mine.py", "serializedFile": "weights.pt"}


@pytest.fixture
def unpacked(tmp_path):
    """A function that writes the files of an archive; None leaves one out."""

    def write(model=None, **files):
        directory = tmp_path / "archive"
        texts = {
            "mine.py": HANDLER,
            "weights.pt": "weights",
            str(MANIFEST): json.dumps({"model": model or MODEL}),
        }
        for name, text in {**texts, **files}.items():
            if text is not None:
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                (directory / name).write_text(text)
        return directory

    return write


def packed(directory, kind):
    archive = directory.parent / "digits.mar"
    files = [path for path in directory.rglob("*") if path.is_file()]
    if kind == "tar":
        with tarfile.open(archive, "w:gz") as tar:
            for path in files:
                tar.add(path, path.relative_to(directory))
    else:
        with zipfile.ZipFile(archive, "w") as zipped:
            for path in files:
                zipped.write(path, path.relative_to(directory))
    return archive


@pytest.mark.parametrize("kind", ["zip", "tar", "directory"])
def test_an_archive_becomes_a_directory_with_a_handler_of_ours(kind, unpacked, tmp_path):
    directory = unpacked({**MODEL, "modelFile": "net.py"}, **{"net.py": "class Net: ...\n"})
    archive = directory if kind == "directory" else packed(directory, kind)
    found = migrate(archive, tmp_path / "model")
    assert found.facts["model"] == "digits 1.0"
    assert found.facts["weights"] == "weights.pt, with the class of net.py"
    assert (tmp_path / "model" / "mine.py").read_text() == HANDLER
    assert "opt_ml_pytorch.torchserve" in (tmp_path / "model" / "code" / "inference.py").read_text()


def test_packages_are_found_by_the_server_whatever_their_files_name(unpacked, tmp_path):
    migrate(
        unpacked({**MODEL, "requirementsFile": "needs.txt"}, **{"needs.txt": "nltk\n"}), tmp_path / "model"
    )
    assert (tmp_path / "model" / "code" / "requirements.txt").read_text() == "nltk\n"


def test_the_command_says_what_was_found_and_how_to_serve_it(unpacked, tmp_path, capsys):
    config = "minWorkers: 1\nbatchSize: 8 # at most\n"
    archive = unpacked({**MODEL, "configFile": "model-config.yaml"}, **{"model-config.yaml": config})
    assert cli.main(["migrate", str(archive), "--output", str(tmp_path / "model")]) == 0
    told = capsys.readouterr().out
    assert "handler        mine.py" in told
    assert f"serve pytorch-cpu --model {tmp_path / 'model'} --environment OPT_ML_PYTORCH_BATCH=8" in told


@pytest.mark.parametrize(
    ("model", "files", "cause"),
    [
        ({"handler": "image_classifier"}, {}, "needs torchvision"),
        ({"handler": "other.py"}, {}, "'other.py', which is not in the archive"),
        ({}, {"weights.pt": None}, "names weights.pt (weights), which is not in the archive"),
        ({}, {"mine.py": "from ts.torch_handler.vision_handler import VisionHandler\n"}, "mine.py, line 1"),
        ({}, {"deeper/more.py": "\nimport ts.metrics\n"}, "more.py, line 2: imports ts.metrics"),
        ({}, {"mine.py": "from ts.utils.util import get_yaml_config\n"}, "ts.utils.util.get_yaml_config"),
        ({}, {"mine.py": "def handle(data, context)\n"}, "no Python"),
    ],
)
def test_what_cannot_run_is_told_and_nothing_is_written(model, files, cause, unpacked, tmp_path):
    with pytest.raises(WorkError) as caught:
        migrate(unpacked({**MODEL, **model}, **files), tmp_path / "model")
    assert cause in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_what_is_no_archive_is_told(unpacked, tmp_path):
    (tmp_path / "no.mar").write_text("text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ToolkitError, match="can be read"):
        migrate(tmp_path / "no.mar", tmp_path / "model")
    with pytest.raises(ToolkitError, match="does not exist"):
        migrate(tmp_path / "missing.mar", tmp_path / "model")
    with pytest.raises(ToolkitError, match="no TorchServe archive"):
        migrate(tmp_path / "empty", tmp_path / "model")
    with pytest.raises(ToolkitError, match="describes no model"):
        migrate(unpacked(**{str(MANIFEST): "[]"}), tmp_path / "model")
    with pytest.raises(ToolkitError, match="exists already"):
        migrate(unpacked(), tmp_path / "empty")
