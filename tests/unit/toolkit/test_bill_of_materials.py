"""The files beside an image: CycloneDX and provenance."""

from __future__ import annotations

import json

import pytest

from tests.unit.toolkit.ledger_entries import entry
from toolkit.bootstrap import install_extra
from toolkit.building.ledger.entries import Package

PACKAGES = [
    Package(manager="debian", name="libc6", version="2.36-9+deb12u10", licence=""),
    Package(manager="python", name="numpy", version="2.0", licence="BSD-3-Clause"),
]


@pytest.fixture(scope="module")
def bills():
    install_extra("requirements/audit.txt", "cyclonedx")
    from toolkit.building import bill_of_materials

    return bill_of_materials


def test_a_bill_names_every_package_and_is_valid_cyclonedx(bills):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = bills.bill_of_materials(entry(), PACKAGES)
    document = json.loads(text)
    purls = [component["purl"] for component in document["components"]]
    assert purls == ["pkg:deb/debian/libc6@2.36-9%2Bdeb12u10", "pkg:pypi/numpy@2.0"]
    assert document["metadata"]["component"]["version"] == entry().digest
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_same_image_gives_the_same_bill(bills):
    assert bills.bill_of_materials(entry(), PACKAGES) == bills.bill_of_materials(entry(), PACKAGES)


def test_provenance_names_the_image_the_commit_and_every_file(bills):
    made_of = {
        "containers/base/Dockerfile": "ab" * 32,
        "base-slim: platform": "cd" * 32,
        "x": "ef" * 32 + " x",
    }
    document = json.loads(bills.provenance(entry(inputs=made_of, revision="1234")))
    assert document["subject"][0]["digest"] == {"sha256": "ab" * 32}
    assert document["predicate"]["buildDefinition"]["resolvedDependencies"] == [
        {"uri": "git", "digest": {"gitCommit": "1234"}},
        {"uri": "containers/base/Dockerfile", "digest": {"sha256": "ab" * 32}},
        {"uri": "x", "digest": {"sha256": "ef" * 32}},
    ]
