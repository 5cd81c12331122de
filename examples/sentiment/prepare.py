"""Writes sentences about films, each with its label, into DIRECTORY: train/, validation/ and held-out/.

    python3 examples/sentiment/prepare.py DIRECTORY

The sentences are made, so that nothing is downloaded. A word of praise or blame decides, and `not` or
`hardly` before it turns it around, so that a list of words alone is wrong for two fifths of them.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from pathlib import Path

PARTS = {"train": 1600, "validation": 200, "held-out": 200}
OPENINGS = ("", "in the end ", "to be honest ", "after all these years ", "for a first film ")
SUBJECTS = (
    "the film",
    "the plot",
    "the acting",
    "her voice",
    "the music",
    "the last scene",
    "every dialogue",
)
VERBS = ("is", "was", "remains", "felt", "seems")
TURNS = ("not", "hardly")
DEGREES = ("", "very ", "rather ", "truly ", "a bit ")
WORDS = {
    "positive": ("good", "moving", "brilliant", "funny", "clever", "charming"),
    "negative": ("bad", "dull", "clumsy", "boring", "shallow", "annoying"),
}
OTHER = {"positive": "negative", "negative": "positive"}


def main(directory: Path) -> None:
    """Write the three parts."""
    source = random.Random(3)  # noqa: S311 - the same sentences each time
    for part, count in PARTS.items():
        (directory / part).mkdir(parents=True, exist_ok=True)
        rows = [sentence(source) for _ in range(count)]
        with (directory / part / "sentences.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
        if part == "held-out":
            request = {"inputs": [text for text, _ in rows]}
            (directory / part / "request.json").write_text(json.dumps(request), encoding="utf-8")


def sentence(source: random.Random) -> tuple[str, str]:
    """A sentence and its label."""
    mood = source.choice(sorted(WORDS))
    turn = source.choice(TURNS) + " " if source.random() < 0.4 else ""
    parts = (source.choice(OPENINGS), source.choice(SUBJECTS), " ", source.choice(VERBS), " ", turn)
    text = "".join(parts) + source.choice(DEGREES) + source.choice(WORDS[mood])
    return text, OTHER[mood] if turn else mood


if __name__ == "__main__":
    main(Path(sys.argv[1]))
