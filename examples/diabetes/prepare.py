"""Splits scikit-learn's diabetes data into the channels of a training job; runs inside the image.

442 patients, 10 features (age, sex, body mass index, blood pressure, six blood values, all standardized)
and `progression`, a measure of the disease one year later, 25 to 346 (Efron et al., 2004, as bundled with
scikit-learn). 350 patients go to `train`, 47 to `validation`; 45 are held out for the endpoint.

Usage: python prepare.py DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

SEED = 7


def main(directory: Path) -> None:
    """Write train/train.csv, validation/validation.csv and held-out.csv, each with a header."""
    table = load_diabetes(as_frame=True).frame.rename(columns={"target": "progression"})
    rest, held_out = train_test_split(table, test_size=45, random_state=SEED)
    train, validation = train_test_split(rest, test_size=47, random_state=SEED)
    parts = {
        "train/train.csv": train,
        "validation/validation.csv": validation,
        "held-out.csv": held_out,
    }
    for name, part in parts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part.to_csv(path, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
