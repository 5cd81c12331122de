"""The ledger beside the builder itself: what it calls stale is what a build makes anew."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from toolkit.building.images import ROOT
from toolkit.building.ledger.freshness import input_changes
from toolkit.building.ledger.inputs import inputs_of
from toolkit.building.reproducibility import FileDifference, differences, files_of

pytestmark = pytest.mark.docker

FILES = {
    "Dockerfile": """
        FROM scratch AS extras
        COPY extras/ /

        FROM scratch AS unused
        COPY unused.txt /

        FROM base AS work
        ARG LOCK
        RUN --mount=source=locks/${LOCK}.txt,target=/lock cat /lock > /work
        RUN --mount=from=tools,source=bin,target=/bin-of-tools cat /bin-of-tools/tool >> /work

        FROM base
        COPY --from=work /work /work
        COPY --from=extras / /extras
        COPY data/*.csv deep /data/
        """,
    ".dockerignore": "**/*.bak\ndeep/hidden\n",
    "extras/a.txt": "a",
    "extras/old.bak": "ignored",
    "unused.txt": "unused",
    "locks/cpu.txt": "numpy",
    "locks/gpu.txt": "torch",
    "data/one.csv": "1",
    "data/more.json": "{}",
    "data/below/two.csv": "2",
    "deep/er/file": "deep",
    "deep/hidden": "hidden",
    "README.md": "read",
}
TOOLS = {"bin/tool": "tool", "share/doc": "doc"}


@pytest.fixture
def family(tmp_path):
    """A build context with every way to read a file, and a named context beside it."""
    for folder, files in (("family", FILES), ("tools", TOOLS)):
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(line.strip() for line in text.splitlines()) + "\n")
    return tmp_path


def layers(family):
    """Hashes of the layers that a real build makes."""
    reference = "opt-ml-ledger-test:latest"
    command = [
        "docker",
        "buildx",
        "build",
        "--quiet",
        "--load",
        "--tag",
        reference,
        "--build-arg",
        "LOCK=cpu",
    ]
    command += ["--build-context", f"tools={family / 'tools'}"]
    command += ["--build-context", "base=docker-image://opt-ml/os:bookworm", str(family / "family")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    inspect = ["docker", "image", "inspect", "--format", "{{json .RootFS.Layers}}", reference]
    found = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout
    subprocess.run(["docker", "rmi", "--force", reference], capture_output=True, check=True)
    return found


def inputs(family):
    target = {
        "context": str(family / "family"),
        "contexts": {"tools": str(family / "tools"), "base": "docker-image://opt-ml/os:bookworm"},
        "args": {"LOCK": "cpu"},
    }
    return inputs_of("family", {"target": {"family": target}}, family, {}.get)


def test_a_changed_file_is_an_input_exactly_where_a_build_makes_other_layers(family):
    layers_before, inputs_before = layers(family), inputs(family)
    found = {}
    for path in sorted(path for path in family.rglob("*") if path.is_file() and path.name[0] not in "D."):
        content = path.read_bytes()
        path.write_bytes(content + b"changed\n")
        is_input = [*input_changes(inputs_before, inputs(family))] == [f"changed: {path.relative_to(family)}"]
        found[path.name] = (is_input, layers(family) != layers_before)
        path.write_bytes(content)
    assert {name for name, (is_input, is_other) in found.items() if is_input != is_other} == set()
    assert {name for name, (is_input, _) in found.items() if is_input} == {
        "a.txt",
        "cpu.txt",
        "one.csv",
        "file",
        "tool",
    }


def test_two_builds_that_differ_in_one_file_are_told_apart(tmp_path):
    found = []
    for number, text in enumerate(("same", "other")):
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY below /\nCOPY above /\n")
        (tmp_path / "below").write_text("same")
        (tmp_path / "above").write_text(text)
        reference = f"opt-ml-ledger-test:files{number}"
        subprocess.run(
            ["docker", "build", "-q", "-t", reference, str(tmp_path)], capture_output=True, check=True
        )
        found.append(files_of(reference))
        subprocess.run(["docker", "rmi", "--force", reference], capture_output=True, check=True)
    assert differences(found[0], found[0]) == []
    assert differences(*found) == [FileDifference(1, "above", "differs")]


def test_what_is_up_to_date_is_not_built_and_a_changed_file_is_why_it_is(tmp_path):
    """On a checkout of its own, for its files are changed."""
    checkout = tmp_path / "checkout"
    for part in ("toolkit", "containers", "entrypoints"):
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "build.py", checkout)
    (checkout / ".venv").symlink_to(ROOT / ".venv")

    def build_py(*arguments):
        command = [str(checkout / "build.py"), *arguments]
        environment = {**os.environ, "OPT_ML_NAMESPACE": "opt-ml-ledger-test"}
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert result.returncode == 0, result.stderr
        return result.stdout

    try:
        assert build_py("build", "base-slim").startswith("Built ")
        assert "is up to date" in build_py("build", "base-slim")
        assert build_py("stale") == "No image that is built is stale.\n"
        dockerfile = checkout / "containers" / "base" / "Dockerfile"
        dockerfile.write_text(dockerfile.read_text() + "ENV LEDGER_TEST=1\n")
        assert build_py("stale") == "base-slim\n  changed: containers/base/Dockerfile\n"
        assert build_py("build", "base-slim").startswith("Built ")
        assert "+ LEDGER_TEST 1" in build_py("diff", "base-slim")
        assert "changed: containers/base/Dockerfile" in build_py("why", "base-slim")
    finally:
        subprocess.run(["docker", "rmi", "opt-ml-ledger-test/base-slim"], capture_output=True, check=False)
