"""What is in an image, and what it was made of, as files beside it: CycloneDX and SLSA provenance.

Beside and not inside: an attestation in the registry turns the image into an index that SageMaker refuses
(IMG-01, IMG-02). The only module that imports cyclonedx; it is installed at first use.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from toolkit.building.ledger.entries import Entry, Package

_PURL_TYPES = {"python": ("pypi", None), "debian": ("deb", "debian"), "rpm": ("rpm", None)}


def bill_of_materials(entry: Entry, packages: list[Package]) -> str:
    """CycloneDX 1.6 as JSON; the same image gives the same text.

    Args:
        entry: the image.
        packages: what is in it, from `toolkit.building.ledger.packages`.
    """
    bill = Bom(serial_number=uuid5(NAMESPACE_URL, entry.digest))
    bill.metadata.timestamp = entry.built_at
    image = Component(
        name=entry.name, version=entry.digest, type=ComponentType.CONTAINER, bom_ref=entry.digest
    )
    bill.metadata.component = image
    components = [_component(package) for package in packages]
    for component in components:
        bill.components.add(component)
    bill.register_dependency(image, components)
    text: str = JsonV1Dot6(bill).output_as_string(indent=1)
    return text


def _component(package: Package) -> Component:
    kind, namespace = _PURL_TYPES[package.manager]
    purl = PackageURL(kind, namespace, package.name, package.version)
    licences = [LicenseFactory().make_from_string(package.licence)] if package.licence else []
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=licences,
    )


def provenance(entry: Entry) -> str:
    """What the image was made of: an in-toto statement with SLSA provenance 1.0, as JSON."""
    materials: list[dict[str, Any]] = [
        {"uri": name, "digest": {"sha256": value.removeprefix("sha256:").split(" ")[0]}}
        for name, value in entry.inputs.items()
        if " " not in name or name.startswith("image ")
    ]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": entry.name, "digest": {"sha256": entry.digest.removeprefix("sha256:")}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://mobyproject.org/buildkit@v1",
                "externalParameters": {"image": entry.name},
                "resolvedDependencies": [
                    *([{"uri": "git", "digest": {"gitCommit": entry.revision}}] if entry.revision else []),
                    *materials,
                ],
            },
            "runDetails": {
                "builder": {"id": "build.py"},
                "metadata": {"finishedOn": entry.built_at.isoformat(timespec="seconds")},
            },
        },
    }
    return json.dumps(statement, indent=1)
