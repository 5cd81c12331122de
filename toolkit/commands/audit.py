"""`build.py audit`: known vulnerabilities of what the images install."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.building.audit import Audit, Finding

HELP = "Ask for known vulnerabilities of what the images install, by their locks."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="such as ensemble-cpu; none: all")
    parser.add_argument("--osv-url", metavar="URL", help="a mirror of the OSV service, instead of the index")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(arguments: argparse.Namespace) -> int:
    """One line a finding; 1 where one counts, 2 where nobody could be asked."""
    from toolkit.bootstrap import install_extra

    install_extra("requirements/audit.txt", "pip_audit")
    from toolkit.building import images
    from toolkit.building.audit import audit, read_accepted

    chosen = [images.find(name) for name in arguments.images] or images.matrix().values()
    locks = dict.fromkeys(
        image.folder / "requirements" / f"{image.lock}.txt" for image in chosen if image.lock
    )
    accepted = read_accepted()
    service = ["--vulnerability-service", "osv", "--osv-url", arguments.osv_url] if arguments.osv_url else []
    audits = [audit(lock, accepted, service) for lock in locks]
    today = datetime.now(UTC).date()
    if arguments.json:
        json.dump([asdict(one) for one in audits], sys.stdout, indent=2, default=str)
        print()
    else:
        for one in audits:
            _show(one, today)
    return int(any(finding.counts(today) for one in audits for finding in one.findings))


def _show(found: Audit, today: date) -> None:
    from toolkit.building.images import shown

    counting = sum(finding.counts(today) for finding in found.findings)
    print(f"{shown(found.lock)}: {found.audited} packages, {counting} with a known vulnerability")
    for finding in found.findings:
        print(f"  {_line(finding, today)}")
    if found.unknown:
        print(f"  nobody knows about: {', '.join(found.unknown)}")


def _line(finding: Finding, today: date) -> str:
    where = f"{finding.package}=={finding.version} {finding.advisory}"
    cure = f"pin {finding.package}>={finding.fixed_in[0]}" if finding.fixed_in else "no version is without it"
    if finding.accepted is None:
        return f"{where}: {cure}"
    until = finding.accepted.review_by
    if finding.counts(today):
        return f"{where}: accepted until {until}, which is over; {cure}"
    return f"{where}: accepted until {until}: {finding.accepted.reason}"
