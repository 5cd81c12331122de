"""Rules about the checkout itself that need neither Docker nor a human to remember them."""

from __future__ import annotations

import ast

import pytest

from tests.unit.checkout import ROOT, checkout_files

FILES = checkout_files()
PYTHON = [path for path in FILES if path.suffix == ".py"]


def imported_packages(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("part", ["entrypoints", "containers"])
def test_what_runs_in_an_image_never_imports_the_toolkit(part):
    guilty = [path for path in PYTHON if ROOT / part in path.parents and "toolkit" in imported_packages(path)]
    assert guilty == []


def test_the_entrypoints_know_no_family():
    families = {
        path.name for path in ROOT.glob("containers/*/algorithm/*") if (path / "__init__.py").exists()
    }
    guilty = [
        path
        for path in PYTHON
        if ROOT / "entrypoints" in path.parents and families & set(imported_packages(path))
    ]
    assert families
    assert guilty == []


def test_the_conformance_suite_stands_on_jobs_and_endpoints():
    allowed = {
        "toolkit.jobs.job",
        "toolkit.serving.endpoint",
        "toolkit.building.images",
        "toolkit.machine.containers",
        "toolkit.serving.http_client",
        "toolkit.verify.layers",
        "toolkit.artifacts",
        "toolkit.errors",
    }
    for path in PYTHON:
        if ROOT / "tests" / "conformance" not in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("toolkit"):
                assert node.module in allowed, f"{path} imports {node.module}"


def test_modules_stay_under_300_lines():
    long = {str(path.relative_to(ROOT)): lines for path in PYTHON if (lines := count_lines(path)) > 300}
    assert long == {}


def count_lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_locks_carry_hashes_and_no_address():
    locks = [path for path in FILES if path.parent.name in ("requirements", "images", "entrypoints")]
    locks = [path for path in locks if path.suffix == ".txt" and "==" in path.read_text()]
    assert len(locks) >= 4
    for path in locks:
        text = path.read_text(encoding="utf-8")
        assert text.count("==") <= text.count("--hash=sha256:"), f"{path}: a requirement without a hash"
        assert "://" not in text, f"{path} names an address"


def locked_versions(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split()[0].split("==") for line in lines if "==" in line and not line.startswith(" "))


@pytest.mark.parametrize(
    ("lock", "below"),
    [
        ("containers/mms/requirements/ensemble-cpu.txt", "containers/ensemble/requirements/cpu.txt"),
        ("containers/torchserve/requirements/pytorch-cpu.txt", "containers/pytorch/requirements/cpu.txt"),
        ("requirements/fuzz.txt", "containers/ensemble/requirements/cpu.txt"),
        ("benchmarks/serving/requirements/models.txt", "containers/ensemble/requirements/cpu.txt"),
    ],
)
def test_a_lock_on_top_of_another_has_its_versions(lock, below):
    ours, theirs = locked_versions(ROOT / lock), locked_versions(ROOT / below)
    shared = ours.keys() & theirs.keys()
    assert "numpy" in shared
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def test_scripts_have_unix_line_ends():
    # A carriage return in a script is `/usr/bin/env: 'python\r'` in the container.
    assert [path for path in FILES if b"\r\n" in path.read_bytes()] == []
