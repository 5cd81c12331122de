"""report.html: complete, self-contained, safe against what is in the data."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

VOID = {"meta", "br", "img", "link", "input", "hr"}
COLUMNS = ["size", "colour", "code"]


class Page(HTMLParser):
    """Collects tags and headings, and fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data)


def page(job, frame, hyperparameters=None):
    text = (job.file("train", "rows.csv", frame).run(hyperparameters) / "report.html").read_text(
        encoding="utf-8"
    )
    return text, Page(text)


@pytest.mark.parametrize(
    ("label", "headings", "plots"),
    [
        ("price", ["Predicted against true", "Residuals"], 4),
        ("dear", ["ROC of 'yes'", "Confusion matrix, in rows"], 3),
        ("band", ["ROC, each class against the rest", "Confusion matrix, in rows"], 3),
    ],
)
def test_the_page_shows_what_the_task_asks_for(job, mixed, label, headings, plots):
    _, parsed = page(job, mixed[[*COLUMNS, label]])
    expected = [
        "Leaderboard",
        *headings,
        "Feature importance",
        "Learning curves",
        "catboost",
        "xgboost",
        "Trained from",
    ]
    found = [heading for heading in parsed.headings if heading in expected]
    assert found == expected
    assert sum(tag == "svg" for tag, _ in parsed.tags) == plots


def test_the_page_needs_neither_network_nor_script(job, mixed):
    text, parsed = page(job, mixed[[*COLUMNS, "price"]])
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in parsed.tags}
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    links = [
        value
        for _, attrs in parsed.tags
        for name, value in attrs.items()
        if name in ("href", "src", "xlink:href")
    ]
    assert all(value.startswith("#") for value in links)


def test_names_from_the_data_are_text_and_never_markup(job, mixed):
    frame = mixed[["size", "dear"]].rename(columns={"size": "<b>size</b>"})
    frame["dear"] = np.where(frame["dear"] == "yes", "<script>alert(1)</script>", "a & b")
    text, parsed = page(job, frame)
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert "&lt;b&gt;size&lt;/b&gt;" in text


def test_the_numbers_of_the_leaderboard_are_those_of_metrics_json(job, mixed):
    text, _ = page(job, mixed[[*COLUMNS, "price"]])
    for scores in [*job.metrics["validation"]["models"].values(), job.metrics["validation"]["blend"]]:
        assert f"<td>{scores['rmse']:#.4g}</td>" in text


def test_a_large_channel_still_makes_a_small_page(job):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((20_000, 3)), columns=["a", "b", "y"])
    text, _ = page(job, frame, {"models": "linear,xgboost", "num_round": 5})
    assert len(text) < 300_000
