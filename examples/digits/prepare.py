"""Splits scikit-learn's digits into the channels of a training job; runs inside the ensemble image.

1797 pictures of handwritten digits, 8 x 8 pixels of 0 to 16 (the test set of UCI's "Optical Recognition of
Handwritten Digits", as bundled with scikit-learn). 1436 go to `train`, so that two hosts can halve them,
181 to `validation`; 180 are held out for the endpoint, and request.npy has the first three of them.

Usage: python prepare.py DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 7


def main(directory: Path) -> None:
    """Write the pictures of each part, shape (n, 1, 8, 8) from 0 to 1, and their labels, shape (n,)."""
    pictures, labels = load_digits(return_X_y=True)
    pictures = (pictures.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    rest, held_out, rest_labels, held_out_labels = train_test_split(
        pictures, labels, test_size=180, random_state=SEED, stratify=labels
    )
    train, validation, train_labels, validation_labels = train_test_split(
        rest, rest_labels, test_size=181, random_state=SEED, stratify=rest_labels
    )
    parts = {
        "train": (train, train_labels),
        "validation": (validation, validation_labels),
        "held-out": (held_out, held_out_labels),
    }
    for name, (part, part_labels) in parts.items():
        (directory / name).mkdir(parents=True, exist_ok=True)
        np.save(directory / name / "pictures.npy", part)
        np.save(directory / name / "labels.npy", part_labels.astype(np.int64))
    np.save(directory / "request.npy", held_out[:3])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
