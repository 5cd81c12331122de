"""Files of images: found in folders, and decoded once before a job that takes hours begins."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from opt_ml.environment import Channel
from opt_ml.errors import UserError
from opt_ml.serving.codecs.images import MOST_PIXELS
from opt_ml.tables.text import shown
from PIL import Image, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
IMAGE, LABEL = "image", "label"  # the columns of a table made of folders


def is_picture(name: object) -> bool:
    """True for a name that ends as image files do."""
    return isinstance(name, str) and name.lower().endswith(SUFFIXES)


def read_folders(channel: Channel) -> pd.DataFrame:
    """A channel with a folder for each class, as a table of the paths and labels of its images.

    Raises:
        UserError: no folder, an image outside of one, or one that cannot be decoded.
    """
    root = channel.directory
    if channel.input_mode == "Pipe" or not root.is_dir():
        raise UserError(
            f"The channel {channel.name} must be in File or FastFile mode: images lie in folders."
        )
    files = sorted(
        path for path in root.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(root))
    )
    pictures = [path for path in files if is_picture(path.name)]
    loose = [path for path in pictures if path.parent == root]
    if loose:
        raise UserError(
            f"{shown(loose[0])} lies in no folder. Put the images of each class into a folder with "
            "the name of the class."
        )
    if not pictures:
        raise UserError(
            f"The channel {channel.name} has no image. Put a folder for each class into it, with its images "
            f"({', '.join(SUFFIXES)})."
        )
    if len(files) > len(pictures):
        others = len(files) - len(pictures)
        print(f"Channel {channel.name}: {others} files are no images by their names, and are not used.")
    check_pictures(pictures)
    labels = [path.relative_to(root).parts[0] for path in pictures]
    return pd.DataFrame({IMAGE: [str(path) for path in pictures], LABEL: labels})


def check_pictures(paths: Iterable[Path]) -> None:
    """Decode every image.

    Raises:
        UserError: one that cannot be decoded, by its name.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(_decode, paths):
            pass


def _decode(path: Path) -> None:
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(f"{shown(path)} has more than {MOST_PIXELS:,} pixels. Make it smaller.")
            image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        is_none = isinstance(error, UnidentifiedImageError)
        cause = "of no known format" if is_none else " ".join(str(error).split())[:200]
        raise UserError(
            f"{shown(path)} cannot be decoded as an image ({cause}). Replace it or take it out."
        ) from None


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
