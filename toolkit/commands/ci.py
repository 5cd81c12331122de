"""`build.py ci`: a workflow for your own CI, made from the images' declarations."""

from __future__ import annotations

import argparse
import shlex

HELP = "A GitHub Actions workflow or a CodePipeline buildspec, made from the images."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("kind", choices=("github", "codepipeline"))
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="none: all on the slim base")
    parser.add_argument("--write", action="store_true", help="write the file where that CI looks for it")


def run(arguments: argparse.Namespace) -> int:
    """Print the file, or write it."""
    from toolkit.building import pipelines
    from toolkit.building.images import find, matrix, shown

    pipeline = pipelines.PIPELINES[arguments.kind]
    images = [find(name) for name in arguments.images] or pipelines.usual_images(matrix())
    command = shlex.join(["./build.py", "ci", arguments.kind, *arguments.images, "--write"])
    text = pipelines.make(pipeline, images, matrix(), command)
    if not arguments.write:
        print(text, end="")
        return 0
    print(f"Wrote {shown(pipelines.write(pipeline, text))}")
    return 0
