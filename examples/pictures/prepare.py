"""Writes scikit-learn's digits as PNG files, a folder for each class; runs inside the AutoGluon image.

1797 pictures of handwritten digits, 8 x 8 pixels of 0 to 16 (the test set of UCI's "Optical Recognition of
Handwritten Digits", as bundled with scikit-learn), enlarged to 32 x 32. 1437 go to `train`, 180 to `test`;
180 are held out for the endpoint.

Usage: python prepare.py DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 7
SIDE = 32


def main(directory: Path) -> None:
    """Write `DIRECTORY/<part>/<digit>/<number>.png`."""
    pixels, labels = load_digits(return_X_y=True)
    pixels = (pixels.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    numbers = np.arange(len(labels))
    rest, held_out = train_test_split(numbers, test_size=180, random_state=SEED, stratify=labels)
    train, test = train_test_split(rest, test_size=180, random_state=SEED, stratify=labels[rest])
    for part, chosen in {"train": train, "test": test, "held-out": held_out}.items():
        for number in chosen:
            folder = directory / part / str(labels[number])
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[number]).resize((SIDE, SIDE)).save(folder / f"{number:04d}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
