"""`build.py demo`: from nothing to served predictions, on data that comes with scikit-learn."""

from __future__ import annotations

import argparse

HELP = "Build the ensemble image, train it, serve it, and compare its predictions with the truth."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and stop")


def run(arguments: argparse.Namespace) -> int:
    """Run the walk of examples/diabetes; exit code 1 when the job or the endpoint fails."""
    from toolkit import demo
    from toolkit.interrupts import terminate_like_interrupt

    terminate_like_interrupt()
    return demo.show_steps() if arguments.dry_run else demo.run()
