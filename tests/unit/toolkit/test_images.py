from pathlib import Path

import pytest

from toolkit.building import images
from toolkit.errors import ToolkitError
from toolkit.namespace import LOCAL_NAMESPACE


def write_family(containers: Path, name: str, text: str) -> Path:
    path = containers / name / "image.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


BASE = """
summary = "a base"
[variants.slim]
platform = "linux/amd64"
size_budget_mb = 200
end_of_support = 2028-06-30
[variants.slim.os]
image = "debian:bookworm-slim"
release = "bookworm"
python = "3.11"
"""
FAMILY = """
summary = "a family"
[variants.cpu]
base = "base-slim"
platform = "linux/amd64"
requirements = "cpu"
size_budget_mb = 900
"""


def test_an_image_is_named_by_its_folder_and_variant(tmp_path):
    write_family(tmp_path, "base", BASE)
    write_family(tmp_path, "forest", FAMILY)
    matrix = images.load(tmp_path)
    assert list(matrix) == ["base-slim", "forest-cpu"]
    assert matrix["forest-cpu"].reference == f"{LOCAL_NAMESPACE}/forest-cpu:latest"


def test_bases_stand_first_whatever_their_name(tmp_path):
    write_family(tmp_path, "zbase", BASE)
    write_family(tmp_path, "a", FAMILY.replace("base-slim", "zbase-slim"))
    assert list(images.load(tmp_path)) == ["zbase-slim", "a-cpu"]


def test_all_errors_of_all_files_are_told_at_once(tmp_path):
    misspelt = write_family(tmp_path, "one", FAMILY.replace("requirements", "requirement"))
    unreadable = write_family(tmp_path, "two", "summary = ")
    with pytest.raises(ToolkitError) as caught:
        images.load(tmp_path)
    message = str(caught.value)
    assert f"{misspelt}:6: variants.cpu.requirement: unknown key; nearest: requirements" in message
    assert str(unreadable) in message


def test_a_wrong_platform_is_refused(tmp_path):
    write_family(tmp_path, "base", BASE.replace("linux/amd64", "windows/amd64"))
    with pytest.raises(ToolkitError, match=r"variants\.slim\.platform"):
        images.load(tmp_path)


def test_an_image_has_the_platform_of_its_base(tmp_path):
    write_family(tmp_path, "base", BASE)
    write_family(tmp_path, "forest", FAMILY.replace("amd64", "arm64"))
    with pytest.raises(ToolkitError, match="is for linux/arm64, and its base 'base-slim' for linux/amd64"):
        images.load(tmp_path)


def test_a_base_that_does_not_exist_is_named_with_the_nearest(tmp_path):
    write_family(tmp_path, "base", BASE)
    write_family(tmp_path, "forest", FAMILY.replace("base-slim", "base-slin"))
    with pytest.raises(
        ToolkitError,
        match=r"toml:3: forest-cpu has a base 'base-slin' that is no image; nearest: base-slim",
    ):
        images.load(tmp_path)


def test_images_that_stand_on_each_other_are_told(tmp_path):
    write_family(tmp_path, "base", BASE)
    write_family(tmp_path, "forest", FAMILY.replace("base-slim", "tree-cpu"))
    write_family(tmp_path, "tree", FAMILY.replace("base-slim", "forest-cpu"))
    with pytest.raises(ToolkitError) as caught:
        images.load(tmp_path)
    assert "forest-cpu stands on itself: forest-cpu on tree-cpu on forest-cpu" in str(caught.value)


def test_a_base_in_a_file_with_errors_is_no_error_of_what_stands_on_it(tmp_path):
    write_family(tmp_path, "base", BASE.replace("python", "pyhton"))
    write_family(tmp_path, "forest", FAMILY)
    with pytest.raises(ToolkitError) as caught:
        images.load(tmp_path)
    lines = str(caught.value).splitlines()[1:]
    assert len(lines) == 2  # the key that is not known, and the one that is missing
    assert lines[0].endswith("variants.slim.os.python: Field required")
    assert lines[1].endswith("variants.slim.os.pyhton: unknown key; nearest: python")


def test_a_base_says_when_its_support_ends(tmp_path):
    write_family(tmp_path, "base", BASE.replace("end_of_support = 2028-06-30\n", ""))
    with pytest.raises(ToolkitError, match=r"image\.toml:3: base-slim is a base and needs `end_of_support`"):
        images.load(tmp_path)


def test_a_variant_needs_a_base_or_is_one(tmp_path):
    write_family(
        tmp_path, "base", 'summary = "s"\n[variants.slim]\nplatform = "linux/amd64"\nsize_budget_mb = 1'
    )
    with pytest.raises(ToolkitError, match="base-slim needs one of `base`, `os` and `dlc`"):
        images.load(tmp_path)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ToolkitError, match="Did you mean ensemble-cpu"):
        images.find("ensmble-cpu")


@pytest.mark.parametrize("reference", ["registry.local:5000/a/b", "python:3.11", "org/image"])
def test_a_full_reference_is_taken_as_it_is(reference):
    assert images.local_reference(reference) == reference
