"""Texts that are on every machine: documentation of Python's own library, and the package that it is of.

Writes `train/texts.csv`, `test/texts.csv` and `held-out.json` (columns text and package), and a small network
for text with random weights and the words of the train texts, as the model hub would have it:
`pretrained/example/electra-tiny`. Runs inside the AutoGluon image.

Usage: python prepare.py DIRECTORY
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pandas as pd
from opt_ml_autogluon.vision import make_importable
from sklearn.model_selection import train_test_split

PACKAGES = ("asyncio", "email", "unittest", "tkinter")
SEED = 7
WORDS = 2000
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def main(directory: Path) -> None:
    """Write the channels of a training job."""
    table = pd.DataFrame(
        [{"text": text, "package": package} for package in PACKAGES for text in docstrings(package)]
    ).drop_duplicates("text")
    rest, held_out = train_test_split(table, test_size=50, random_state=SEED, stratify=table["package"])
    train, test = train_test_split(rest, test_size=0.15, random_state=SEED, stratify=rest["package"])
    for part, rows in {"train": train, "test": test}.items():
        (directory / part).mkdir(parents=True, exist_ok=True)
        rows.to_csv(directory / part / "texts.csv", index=False)
    held_out.to_json(directory / "held-out.json", orient="records")
    write_network(train["text"], directory / "pretrained" / "example" / "electra-tiny")


def docstrings(package: str) -> list[str]:
    """The first lines of the documentation of every class and function of a package."""
    found = []
    for path in sorted(Path(sysconfig.get_path("stdlib"), package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text and len(text) > 30:
                    found.append(" ".join(text.split())[:300])
    return found


def write_network(texts: pd.Series, folder: Path) -> None:
    """Configuration, vocabulary and random weights."""
    make_importable()  # torchvision, which transformers imports
    from transformers import ElectraConfig, ElectraModel, ElectraTokenizerFast

    counts = Counter(word for text in texts.str.lower() for word in text.split() if word.isalpha())
    letters = [
        *"abcdefghijklmnopqrstuvwxyz0123456789_.,:;()'-",
        *(f"##{one}" for one in "abcdefghijklmnopqrstuvwxyz"),
    ]
    words = [word for word, _ in counts.most_common(WORDS) if len(word) > 1]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *letters, *words]), encoding="utf-8")
    tokenizer = ElectraTokenizerFast(vocab_file=str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    config = ElectraConfig(
        vocab_size=len(tokenizer),
        embedding_size=64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
    )
    ElectraModel(config).save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
