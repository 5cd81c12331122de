"""What images are made of, and which of them a changed file touches: over every file of this checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.checkout import ROOT, checkout_files
from tests.unit.toolkit.ledger_entries import entry
from toolkit.building import images
from toolkit.building.ledger import entries
from toolkit.building.ledger.differences import Change, difference
from toolkit.building.ledger.entries import Layer, Package, SuiteResult
from toolkit.building.ledger.freshness import State, input_changes, neutral_definition, part_of
from toolkit.building.ledger.inputs import inputs_of
from toolkit.errors import ToolkitError

FILES = sorted(path.relative_to(ROOT).as_posix() for path in checkout_files())
DEFINITION = neutral_definition(images.matrix().values())


def inputs(root=ROOT):
    """Image name to what it is made of, in a checkout at `root`."""
    definition = DEFINITION
    if root != ROOT:
        text = str(definition).replace(str(ROOT), str(root))
        definition = eval(text)
    return {name: inputs_of(name, definition, root, {}.get) for name in images.matrix()}


def expected(path):
    """The images that a file is part of, by rules that are written here by hand."""
    matrix = images.matrix()
    folder, _, rest = path.partition("/")
    found = set()
    if folder == "entrypoints":
        unseen = r"\.dockerignore|build-requirements\.in|.*\.egg-info/.*"
        if not re.fullmatch(unseen, rest):
            found = {name for name, image in matrix.items() if len(image.bases) == 1}
    elif folder == "containers":
        family, _, rest = rest.partition("/")
        for name, image in matrix.items():
            own = image.folder.name == family
            if (
                (own and rest == "Dockerfile")
                or (own and rest.startswith("algorithm/"))
                or (own and rest == f"requirements/{image.lock}.txt")
                or (family == "shared" and rest == "pip-install" and image.variant.base)
                or (family == "shared" and rest == "clamp-times")
            ):
                found.add(name)
    while above := {name for name, image in matrix.items() if image.variant.base in found} - found:
        found |= above
    return found


def test_every_file_of_the_checkout_is_part_of_exactly_the_right_images():
    states = [State(images.find(name), "fresh", None, (), made_of) for name, made_of in inputs().items()]
    wrong = {
        path: (sorted(found), sorted(expected(path)))
        for path in FILES
        if (found := set(part_of([ROOT / path], states))) != expected(path)
    }
    assert wrong == {}
    assert sum(bool(expected(path)) for path in FILES) > 200


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Another checkout with the same files, to be changed."""
    root = tmp_path_factory.mktemp("checkout")
    for path in FILES:
        if path.startswith(("containers/", "entrypoints/")):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, root / path)
    return root, inputs(root)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_byte_of_a_file_makes_exactly_its_images_stale(copy, data):
    root, before = copy
    path = data.draw(
        st.sampled_from([name for name in FILES if name.startswith(("containers/", "entrypoints/"))])
    )
    file = root / path
    content = file.read_bytes()
    place = data.draw(st.integers(0, max(len(content) - 1, 0)))
    file.write_bytes(content[:place] + b"#" + content[place + (content[place : place + 1] != b"#") :])
    try:
        if path.endswith(("Dockerfile", ".dockerignore")):
            return  # what they mean may change too: the tests of builds see to them
        after = inputs(root)
    finally:
        file.write_bytes(content)
    stale = {name for name in before if [*input_changes(before[name], after[name])]}
    assert stale == expected(path)
    assert {line for name in stale for line in input_changes(before[name], after[name])} <= {
        f"changed: {path}"
    }


def test_baked_weights_are_part_of_the_images_that_take_them_and_of_no_other(tmp_path, monkeypatch):
    def made_of(folder):
        monkeypatch.setenv("PRETRAINED", str(folder))
        definition = neutral_definition(images.matrix().values())
        return {name: inputs_of(name, definition, ROOT, {}.get) for name in images.matrix()}

    for folder, content in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / folder / "google" / "electra").mkdir(parents=True)
        (tmp_path / folder / "google" / "electra" / "config.json").write_text(content)
    without, first, same, other = inputs(), *(made_of(tmp_path / folder) for folder in "abc")
    assert first == same  # wherever they lie
    taking = {name for name in without if [*input_changes(without[name], first[name])]}
    assert taking == {name for name in without if name.startswith("autogluon-")}
    for name in taking:
        assert [*input_changes(first[name], other[name])] == [
            "changed: pretrained: google/electra/config.json"
        ]
        assert [*input_changes(first[name], without[name])] == [
            "gone: pretrained: google/electra/config.json"
        ]


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setattr(entries, "LEDGER", tmp_path)
    return tmp_path


def test_an_entry_is_read_as_it_was_written(ledger):
    tested = SuiteResult(suite="images", at=datetime(2026, 1, 3, tzinfo=UTC), passed=3, failed=0, skipped=1)
    package = Package(manager="python", name="numpy", version="2.0", licence="BSD-3-Clause")
    written = entry(tests=[tested], packages=[package])
    entries.write(written)
    assert entries.read("ensemble-cpu", written.digest) == written
    assert entries.find("sha256:abab") == entries.find("abab") == written
    assert entries.find("cd") is entries.read("ensemble-cpu", "sha256:cd") is None
    assert entries.history("ensemble-cpu") == [written]


def test_the_last_run_of_a_suite_is_kept(ledger):
    first = SuiteResult(suite="images", at=datetime(2026, 1, 3, tzinfo=UTC), passed=3, failed=1, skipped=0)
    other = first.model_copy(update={"suite": "conformance"})
    again = first.model_copy(update={"failed": 0, "passed": 4})
    for result in (first, other, again):
        known = entries.read("ensemble-cpu", entry().digest)
        entries.add_result(known or entry(), result)
    assert entries.read("ensemble-cpu", entry().digest).tests == [other, again]


def test_a_damaged_entry_is_named_with_what_to_do(ledger):
    written = entry()
    entries.write(written)
    written.path.write_text('{"name": "ensemble-cpu"}')
    with pytest.raises(ToolkitError, match=r"abab.*\.json is no entry of the ledger: reference: .*\n.*rm "):
        entries.read("ensemble-cpu", written.digest)


def test_the_newest_fifty_entries_of_an_image_are_kept(ledger):
    for number in range(60):
        entries.write(entry(f"sha256:{number:064}"))
    assert len(entries.history("ensemble-cpu")) == 50
    assert entries.read("ensemble-cpu", f"sha256:{59:064}")


def test_a_difference_names_packages_layers_environment_labels_and_inputs():
    low = Layer(diff_id="sha256:1", size_bytes=10, step="RUN true")
    old, new = (Layer(diff_id=f"sha256:{n}", size_bytes=n, step="COPY a") for n in (5, 7))
    before = entry(
        layers=[low, old], size_bytes=15, environment={"A": "1", "B": "2"}, inputs={"x": "1", "y": "1"}
    )
    after = entry(
        layers=[low, new], size_bytes=17, environment={"A": "1", "B": "3"}, inputs={"x": "2", "z": "1"}
    )
    found = difference(
        before,
        after,
        [Package(manager="python", name=name, version="1", licence="") for name in "ab"],
        [Package(manager="python", name=name, version="2", licence="") for name in "bc"],
    )
    assert found.size_bytes == 2
    assert (found.same_layers, found.removed_layers, found.added_layers) == (
        1,
        (("COPY a", 5),),
        (("COPY a", 7),),
    )
    assert found.packages == (
        Change("python a", "1", None),
        Change("python b", "1", "2"),
        Change("python c", None, "2"),
    )
    assert found.environment == (Change("B", "2", "3"),)
    assert found.inputs == ("changed: x", "gone: y", "new: z")


def test_a_file_outside_of_the_checkout_is_named():
    with pytest.raises(ToolkitError, match="/etc/hosts is no file of this checkout"):
        part_of(["/etc/hosts"], [])


def test_without_git_the_same_files_are_found(monkeypatch):
    def fail(*_, **__):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", fail)
    assert {ROOT / path for path in FILES if path.startswith("toolkit/")} <= set(checkout_files())
