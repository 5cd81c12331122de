"""`build.py doctor`: is this machine ready, and what mends it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

HELP = "Check this machine; --fix installs and starts what is missing."
MARKS = {"ok": "ok  ", "warning": "WARN", "error": "FAIL"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--fix", action="store_true", help="mend what can be mended here (Debian or Ubuntu as root)"
    )
    parser.add_argument("--dry-run", action="store_true", help="with --fix: only say what would be mended")
    parser.add_argument("--quiet", action="store_true", help="print only what is wrong")
    parser.add_argument("--json", action="store_true", help="a JSON list of findings on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Print one line a check; exit code 2 when something stops the work."""
    from toolkit.machine import doctor

    findings = doctor.repair() if arguments.fix and not arguments.dry_run else doctor.examine()
    if arguments.json:
        json.dump([asdict(finding) for finding in findings], sys.stdout, indent=2)
        print()
    else:
        for finding in findings:
            if finding.severity == "ok" and arguments.quiet:
                continue
            print(f"{MARKS[finding.severity]}  {finding.name:14} {finding.message}")
            if finding.cure:
                print(f"      {'':14} -> {finding.cure}")
    return 2 if any(finding.severity == "error" for finding in findings) else 0
