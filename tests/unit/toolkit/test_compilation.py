"""`build.py compile`: what the container is told, and what is refused before one starts."""

from __future__ import annotations

import pytest

from toolkit.cli import main
from toolkit.serving.compilation import compilation


def test_the_model_is_read_only_and_there_is_no_network(tmp_path):
    spec = compilation("opt-ml/ensemble-cpu:latest", tmp_path / "model", tmp_path / "target")
    assert spec.command == ("compile-model", "/opt/ml/model", "/opt/ml/compiled")
    assert spec.network == "none"
    assert [(bind.target, bind.read_only) for bind in spec.binds] == [
        ("/opt/ml/model", True),
        ("/opt/ml/compiled", False),
    ]


def test_an_archive_that_exists_is_not_overwritten(tmp_path, capsys):
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"precious")
    assert main(["compile", "ensemble-cpu", str(tmp_path), "--output", str(archive)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert archive.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["nowhere", "nowhere/model.tar.gz"])
def test_a_model_that_is_not_there_is_named(tmp_path, capsys, name):
    path = tmp_path / name
    assert main(["compile", "ensemble-cpu", str(path), "--output", str(tmp_path / "new.tar.gz")]) == 2
    assert f"The model {path} does not exist" in capsys.readouterr().err
