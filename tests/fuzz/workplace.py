"""Where a coverage-guided target keeps its files: `.build/fuzz/TARGET` of the checkout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Workplace:
    """The files of one target.

    Attributes:
        corpus: inputs that reached something new; later runs begin with them.
        seeds: the target's own.
        words: the dictionary.
        findings: inputs that found something.
        log: the output of the newest run.
    """

    def __init__(self, target: str) -> None:
        directory = ROOT / ".build" / "fuzz" / target
        self.corpus, self.seeds = directory / "corpus", directory / "seeds"
        self.findings = directory / "findings"
        self.words, self.log = directory / "words.dict", directory / "log.txt"
        for folder in (self.corpus, self.seeds, self.findings):
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
        """Write what the target brings."""
        for number, seed in enumerate(seeds):
            (self.seeds / str(number)).write_bytes(seed)
        lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in words if len(word) <= 64]
        self.words.write_text("\n".join(lines) + "\n")
