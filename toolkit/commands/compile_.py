"""`compile`: give an existing model the compiled copy that training makes by itself."""

from __future__ import annotations

import argparse

HELP = "Compile a trained model for serving, into a new model.tar.gz."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The image, the model and what is written."""
    parser.add_argument("image", help="the image that serves the model: ensemble-cpu, or a local reference")
    parser.add_argument("model", metavar="MODEL", help="a model.tar.gz, a directory, or jobs/NAME")
    parser.add_argument(
        "--output",
        metavar="FILE",
        default="model-compiled.tar.gz",
        help="the new archive (model-compiled.tar.gz); MODEL stays as it is",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compile and pack (0)."""
    from pathlib import Path

    from toolkit.artifacts import readable_size, total_size
    from toolkit.building.images import local_reference
    from toolkit.serving.compilation import compile_model

    archive = Path(arguments.output)
    compile_model(
        local_reference(arguments.image),
        Path(arguments.model),
        archive,
        on_line=lambda line: print(line, flush=True),
    )
    print(f"Wrote {archive} ({readable_size(total_size(archive))}).")
    return 0
