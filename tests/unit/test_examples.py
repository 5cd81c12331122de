"""What the documents show is what works with every SDK."""

from __future__ import annotations

import re

import pytest

from tests.unit.checkout import ROOT, checkout_files


@pytest.mark.contract("V3-21")
def test_the_channels_of_the_examples_have_names_that_sdk_3_can_export():
    documents = [path for path in checkout_files() if path.suffix == ".md" or path.name == "Makefile"]
    lines = [line for path in documents for line in path.read_text(encoding="utf-8").splitlines()]
    names = [name for line in lines for name in re.findall(r"--channel[ =]([^\s=]+)=", line)]
    assert "train" in names
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9_]+|NAME", name)] == []
    assert (ROOT / "README.md") in documents


def test_the_readme_has_every_variable_of_serving():
    sources = [path for path in checkout_files() if ROOT / "entrypoints/opt_ml/serving" in path.parents]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources if path.suffix == ".py")
    read = set(re.findall(r'"((?:SAGEMAKER|OPT_ML|MMS|TS|STANDARD)_[A-Z_]+)"', text))
    told = set(re.findall(r"`([A-Z_]+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    none_of_users = {"OPT_ML_ENGINE_DIRECTORY", "TS_METRICS"}  # of our own processes, and a log of TorchServe
    assert len(read) > 20
    assert read - told == none_of_users
