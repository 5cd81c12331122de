"""What lies in the image's layers, without running it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from toolkit.artifacts import model_directory
from toolkit.verify.layers import ImageFiles

SERVERLESS_LIMIT = 10 * 10**9  # bytes
# Of these the platform mounts its own; /opt/ml/code stays (TRAIN-16).
HIDDEN = ("/opt/ml/input", "/opt/ml/model", "/opt/ml/output", "/opt/ml/checkpoints")
DRIVERS = re.compile(r"/(usr/lib|usr/lib64|usr/local/nvidia)/(.*/)?(libcuda|libnvidia-ml)\.so\.")
SECRET_NAME = re.compile(
    r"(^|_)(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_KEY_ID|PRIVATE_KEY|CREDENTIALS)($|_)"
)
SECRET_TEXT = re.compile(
    r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|hf_[A-Za-z]{34}|-----BEGIN (\w+ )?PRIVATE KEY-----"
    r"|://[^/\s:@$]+:[^/\s:@$]{3,}@|_authToken=\S+|aws_secret_access_key\s*=\s*\S+|\"auth\":\s*\"\S+\""
)
# Keys that packages bring for their own tests are no secrets.
OF_PACKAGES = re.compile(
    r"/(site-packages|dist-packages|test|tests|lib/python[\d.]+|ssl/certs|ca-certificates)/"
)
PICKLES = (".pkl", ".pickle", ".joblib")


@pytest.mark.contract("TRAIN-16", "HOST-20")
def test_nothing_lies_where_the_platform_mounts_its_own(files: ImageFiles) -> None:
    hidden = [path for path, entry in files.files.items() if path.startswith(HIDDEN) and entry.kind == "file"]
    assert not hidden, f"hidden by the platform's own files: {', '.join(hidden[:5])}"


@pytest.mark.contract("TRAIN-02")
@pytest.mark.needs("train")
def test_there_is_something_that_runs_for_the_word_train(facts: Mapping[str, Any], files: ImageFiles) -> None:
    assert_runs("train", facts, files)


@pytest.mark.contract("HOST-02")
@pytest.mark.needs("serve")
def test_there_is_something_that_runs_for_the_word_serve(facts: Mapping[str, Any], files: ImageFiles) -> None:
    assert_runs("serve", facts, files)


def assert_runs(word: str, facts: Mapping[str, Any], files: ImageFiles) -> None:
    """The word itself is an executable file, or ENTRYPOINT begins with one."""
    entrypoint = facts["Config"].get("Entrypoint") or []
    program = entrypoint[0] if entrypoint else word
    places = [f"{directory}/{program}" for directory in files.path()]
    unmarked = [place for place in places if (found := files.get(place)) and not found.mode & 0o111]
    assert not unmarked, f"{unmarked[0]} is not marked as executable: RUN chmod +x {unmarked[0]}"
    assert files.program(program), f"there is no `{program}` on PATH ({':'.join(files.path())})"


@pytest.mark.contract("IMG-22")
def test_start_scripts_have_unix_line_ends(facts: Mapping[str, Any], files: ImageFiles) -> None:
    words = ["train", "serve", *(facts["Config"].get("Entrypoint") or [])]
    programs = {path for word in words if (path := files.program(word))}
    wrong = [path for path in sorted(programs) if _first_line(files, path).endswith("\r")]
    assert not wrong, f"the first line ends with a carriage return: {', '.join(wrong)}"


def _first_line(files: ImageFiles, path: str) -> str:
    text = files.text(path)
    return text.partition("\n")[0] if text.startswith("#!") else ""


@pytest.mark.contract("HOST-08", "TRAIN-13")
def test_no_nvidia_driver_is_in_the_image(files: ImageFiles) -> None:
    drivers = [
        path
        for path, entry in files.files.items()
        if DRIVERS.match(path) and entry.kind == "file" and not {"compat", "stubs"} & set(path.split("/"))
    ]
    assert not drivers, f"of the machine's driver: {', '.join(drivers)}"


@pytest.mark.contract("HOST-90", "IMG-12")
def test_the_image_is_small_enough_for_serverless_endpoints(files: ImageFiles) -> None:
    size = sum(files.sizes)
    assert size <= SERVERLESS_LIMIT, f"{size / 1e9:.1f} GB unpacked, of 10 GB"


@pytest.mark.contract("IMG-21")
def test_no_secret_is_in_the_environment_or_the_history(facts: Mapping[str, Any], files: ImageFiles) -> None:
    variables = dict(one.partition("=")[::2] for one in facts["Config"].get("Env") or [])
    named = [name for name, value in variables.items() if value and SECRET_NAME.search(name.upper())]
    told = [value for value in variables.values() if SECRET_TEXT.search(value)]
    steps = [step.get("created_by", "") for step in files.config.get("history", [])]
    steps_telling = [number for number, step in enumerate(steps, 1) if SECRET_TEXT.search(step)]
    assert not named, f"the environment holds {', '.join(named)}"
    assert not told, "a variable of the environment holds what looks like a key or a password"
    assert not steps_telling, f"step {steps_telling[0]} of `docker history` holds what looks like a password"


@pytest.mark.contract("IMG-21")
def test_no_secret_is_in_a_layer(files: ImageFiles) -> None:
    found = [
        f"{path} of layer {number}" + ("" if path in files.files else ", which a later layer only hides")
        for number, layer in enumerate(files.layers, 1)
        for path, entry in layer.items()
        if entry.text and not OF_PACKAGES.search(path) and SECRET_TEXT.search(entry.text.decode("latin-1"))
    ]
    assert not found, f"what looks like a key or a password: {'; '.join(found[:5])}"


@pytest.mark.contract("IMG-23")
def test_no_model_in_the_image_is_a_pickle(files: ImageFiles) -> None:
    found = [
        path
        for path, entry in files.files.items()
        if path.endswith(PICKLES) and entry.kind == "file" and not OF_PACKAGES.search(path)
    ]
    assert not found, f"pickles: {', '.join(found[:5])}"


@pytest.mark.contract("IMG-23")
@pytest.mark.needs("model_file")
def test_no_file_of_the_model_is_a_pickle(model: Path) -> None:
    with model_directory(model) as directory:
        found = [path.name for path in directory.rglob("*") if path.name.endswith(PICKLES)]
    assert not found, f"pickles: {', '.join(found[:5])}"
