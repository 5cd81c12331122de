"""`build.py sbom`: what is in an image and what it was made of, as two files."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Write an image's bill of materials (CycloneDX) and its provenance (SLSA) as files."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="such as ensemble-cpu, as it is built here")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to; .build/sbom unless told")


def run(arguments: argparse.Namespace) -> int:
    """Write both and name them."""
    from toolkit.bootstrap import install_extra

    install_extra("requirements/audit.txt", "cyclonedx")
    from toolkit.building import images
    from toolkit.building.bill_of_materials import bill_of_materials, provenance
    from toolkit.building.ledger.freshness import built_entry
    from toolkit.building.ledger.packages import packages_of

    entry = built_entry(images.find(arguments.image))
    packages = packages_of(entry)
    directory: Path = arguments.output or images.ROOT / ".build" / "sbom"
    directory.mkdir(parents=True, exist_ok=True)
    stem = directory / f"{entry.name}-{entry.digest[7:19]}"
    for suffix, text, what in (
        ("cdx.json", bill_of_materials(entry, packages), f"{len(packages)} packages, CycloneDX 1.6"),
        ("provenance.json", provenance(entry), f"{len(entry.inputs)} inputs, SLSA provenance 1.0"),
    ):
        path = Path(f"{stem}.{suffix}")
        path.write_text(text + "\n", encoding="utf-8")
        print(f"{images.shown(path)}  {what}")
    return 0
