"""`migrate`: a TorchServe archive to a model that the PyTorch image serves."""

from __future__ import annotations

import argparse

HELP = "Make a model's directory of a TorchServe archive (.mar), to serve it without TorchServe."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The archive and what is written."""
    parser.add_argument(
        "archive", metavar="MAR_OR_DIR", help="a .mar archive, or the directory of an unpacked one"
    )
    parser.add_argument(
        "--output", metavar="DIR", default="migrated-model", help="the new directory (migrated-model)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Say what was found, and write the directory (0)."""
    from pathlib import Path

    from toolkit.serving.migration import migrate

    found = migrate(Path(arguments.archive), Path(arguments.output))
    for name, text in found.facts.items():
        print(f"{name:14} {text}")
    batch = f" --environment OPT_ML_PYTORCH_BATCH={found.batch_size}" if found.batch_size > 1 else ""
    print(f"Wrote {arguments.output}. Serve it:")
    print(f"  ./build.py serve pytorch-cpu --model {arguments.output}{batch}")
    return 0
