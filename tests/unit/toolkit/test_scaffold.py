"""`build.py new`, and the text that every family's Dockerfile shares with the template."""

from __future__ import annotations

import ast
import difflib
import tomllib

import pytest

from tests.conformance.profile import read_profile
from toolkit.building import images, scaffold
from toolkit.building.images import CONTAINERS
from toolkit.cli import main
from toolkit.errors import ToolkitError

# family -> what its Dockerfile has, beside its first line, that the template's has not
OWN_LINES = {
    "autogluon": [
        "FROM scratch AS pretrained",
        "# Replaced by the named context of this name where there is one: weights that jobs need no channel "
        "for.",
        "RUN --mount=from=shared,target=/shared --mount=from=pretrained,target=/pretrained \\",
        "    mkdir -p /opt/pretrained && cp -R /pretrained/. /opt/pretrained && /shared/clamp-times",
        "# Once more where an image is built on one that has it: Ray brings a command `serve` of its own, "
        "over ours.",
        "    /shared/pip-install --no-index --force-reinstall /entrypoints/*.whl",
    ],
    "ensemble": [
        "# The wheels of ONNX Runtime tell Microsoft about models and machine, unless this is set before "
        "the import.",
        "ENV ORT_DISABLE_TELEMETRY=1",
    ],
    "pytorch": [
        "    set -eu; \\",
        "    /shared/pip-install --require-hashes -r /requirements.txt; \\",
        "    # 130 MB of PyTorch's own test programs, which nobody runs in a job.",
        "    torch=$(python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))')/torch; \\",
        '    rm -rf "$torch/test" "$torch"/bin/*[Tt]est*; \\',
        "    /shared/clamp-times",
    ],
}
REPLACED = {
    "autogluon": ["    /shared/pip-install --no-index /entrypoints/*.whl"],
    "pytorch": ["    /shared/pip-install --require-hashes -r /requirements.txt"],
}


def make(tmp_path, name="my-forest", kinds=("slim", "dlc")):
    containers = tmp_path / "containers"
    (containers / "base").mkdir(parents=True)
    (containers / "dlc").mkdir()
    for base in ("base", "dlc"):
        text = (CONTAINERS / base / "image.toml").read_text()
        (containers / base / "image.toml").write_text(text)
    return scaffold.make_family(name, kinds, containers, tmp_path / "profiles")


@pytest.mark.parametrize("family", OWN_LINES)
def test_a_familys_dockerfile_is_the_templates_but_for_what_is_stated(family):
    template, own = (
        (CONTAINERS / name / "Dockerfile").read_text().splitlines()[1:] for name in ("template", family)
    )
    changes = [line for line in difflib.ndiff(template, own) if line[0] in "+-" and line[2:]]
    assert [line[2:] for line in changes if line[0] == "+"] == OWN_LINES[family]
    assert [line[2:] for line in changes if line[0] == "-"] == REPLACED.get(family, [])


def test_every_family_with_an_algorithm_is_compared():
    families = {path.parent.name for path in CONTAINERS.glob("*/algorithm")} - {"template"}
    assert set(OWN_LINES) == families


def test_a_new_family_is_one_folder_and_a_profile(tmp_path):
    written = make(tmp_path)
    folder, profile = tmp_path / "containers" / "my-forest", tmp_path / "profiles" / "my-forest-cpu.toml"
    assert all(path == profile or folder in path.parents for path in written)
    matrix = images.load(tmp_path / "containers")
    assert [name for name in matrix if name.startswith("my-forest")] == ["my-forest-cpu", "my-forest-cpu-dlc"]
    for image in (matrix["my-forest-cpu"], matrix["my-forest-cpu-dlc"]):
        assert (folder / "requirements" / f"{image.lock}.txt").is_file()
    project = tomllib.loads((folder / "algorithm" / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["opt_ml.train"] == {"my-forest": "opt_ml_my_forest.train:train"}
    assert (folder / "algorithm" / "opt_ml_my_forest" / "train.py").is_file()
    for path in written:
        text = path.read_text()
        assert "template" not in text, path
        if path.suffix == ".py":
            ast.parse(text)


def test_its_profile_is_one(tmp_path, monkeypatch):
    make(tmp_path)
    monkeypatch.setattr("tests.conformance.profile.PROFILES", tmp_path / "profiles")
    assert read_profile("my-forest-cpu").metric == "train-rmse"


@pytest.mark.parametrize(
    ("kind", "image", "lock"), [("slim", "forest-cpu", "cpu"), ("dlc", "forest-cpu-dlc", "cpu-dlc")]
)
def test_a_family_for_one_kind_of_base_has_nothing_of_the_other(tmp_path, kind, image, lock):
    written = make(tmp_path, "forest", (kind,))
    matrix = images.load(tmp_path / "containers")
    assert [name for name in matrix if name.startswith("forest")] == [image]
    assert [path.stem for path in written if path.suffix == ".txt"] == [lock]
    assert matrix[image].labels


@pytest.mark.parametrize("name", ["Forest", "9lives", "a_b", "a--b", "a-", "", "../x", "a" * 41])
def test_a_name_that_no_image_can_have_is_refused(tmp_path, name):
    with pytest.raises(ToolkitError, match="cannot be the name of a family"):
        make(tmp_path, name)
    assert not (tmp_path / "profiles").exists()


@pytest.mark.parametrize("name", ["shared", "template"])
def test_a_folder_that_is_something_else_is_refused(tmp_path, name):
    with pytest.raises(ToolkitError, match="is something else"):
        make(tmp_path, name)


def test_a_family_that_is_there_is_left_alone(capsys):
    before = (CONTAINERS / "ensemble" / "image.toml").read_bytes()
    assert main(["new", "ensemble"]) == 2
    assert "error: containers/ensemble is there already." in capsys.readouterr().err
    assert (CONTAINERS / "ensemble" / "image.toml").read_bytes() == before
