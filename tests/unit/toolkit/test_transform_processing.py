"""The paths, filters and joins of batch transform."""

from __future__ import annotations

import pytest

from toolkit.errors import ToolkitError
from toolkit.transform.json_path import NotThereError, parse
from toolkit.transform.processing import ProcessingError, filtered, joined


def path(text: str):
    return parse("--input-filter", text)


@pytest.mark.contract("BATCH-17")
@pytest.mark.parametrize(
    ("text", "value", "selected"),
    [
        ("$", {"a": 1}, {"a": 1}),
        ("$.a.b", {"a": {"b": 2}}, 2),
        ("$['a','c']", {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}),
        ("$.f.['a','c']", {"f": {"a": 1, "b": 2, "c": 3}}, {"a": 1, "c": 3}),
        ("$['a']", {"a": 1}, 1),
        ("$[0]", [5, 6], 5),
        ("$[0,-1]", [5, 6, 7], [5, 7]),
        ("$[1:]", [5, 6, 7], [6, 7]),
        ("$[:-1]", [5, 6, 7], [5, 6]),
        ("$[0,2:]", [5, 6, 7, 8], [5, 7, 8]),
        ("$.a[1]", {"a": [1, 2]}, 2),
        ("$.a.*", {"a": {"x": 1, "y": 2}}, [1, 2]),
    ],
)
def test_the_documented_paths_select(text, value, selected) -> None:
    assert path(text).select(value) == selected


@pytest.mark.parametrize(
    "text", ["features", "$..a", "$[?(@.a)]", "$.a[", "$[1:2:3]", "$" + ".a" * 40, "$[a]"]
)
def test_any_other_path_is_refused_by_name(text) -> None:
    with pytest.raises(ToolkitError, match="--input-filter"):
        path(text)


@pytest.mark.parametrize(("text", "value"), [("$.a", {}), ("$[3]", [1]), ("$[0]", {}), ("$.a", [1])])
def test_what_is_not_there_is_an_error(text, value) -> None:
    with pytest.raises(NotThereError):
        path(text).select(value)


@pytest.mark.contract("BATCH-17")
@pytest.mark.parametrize(
    ("record", "result", "filter_", "kind", "whole"),
    [
        (b"1,2", b"0.5", "$", "csv", b"1,2,0.5"),
        (b"1,2", b"0.5,0.6", "$[0,-1]", "csv", b"1,0.6"),
        (b'{"id":1}', b"0.5", "$", "jsonlines", b'{"id": 1, "SageMakerOutput": 0.5}'),
        (
            b'{"id":1,"x":2}',
            b"[1]",
            "$['id','SageMakerOutput']",
            "json",
            b'{"id": 1, "SageMakerOutput": [1]}',
        ),
        (b"[1,2]", b'{"p":3}', "$", "json", b'{"SageMakerInput": [1, 2], "SageMakerOutput": {"p": 3}}'),
        (b'{"id":1}', b"0.5", "$.SageMakerOutput", "jsonlines", b"0.5"),
    ],
)
def test_a_record_is_joined_with_its_prediction(record, result, filter_, kind, whole) -> None:
    assert joined(record, result, path(filter_), kind) == whole


def test_a_filter_that_does_not_fit_names_the_path() -> None:
    with pytest.raises(ProcessingError, match=r"\$\[5\] does not fit a record: there is no place 5 among 2"):
        filtered(b"1,2", path("$[5]"), "csv")


def test_a_field_may_be_as_long_as_a_payload() -> None:
    assert filtered(b"1," + b"x" * 200_000, path("$[1]"), "csv") == b"x" * 200_000


@pytest.mark.parametrize("filter_", ["$", "$[0,-1]"])
def test_a_line_break_within_quotes_is_an_error_and_never_half_a_record(filter_) -> None:
    with pytest.raises(ProcessingError, match=r'1,"a ends within quotes'):
        joined(b'1,"a', b"0.5", path(filter_), "csv")


def test_half_a_surrogate_pair_stays_an_escape() -> None:
    assert filtered(b'{"a": "\\ud800"}', path("$.a"), "json") == b'"\\ud800"'


def test_json_of_any_depth_is_a_value_or_an_error() -> None:
    with pytest.raises(ProcessingError, match="nested too deeply"):
        filtered(b"[" * 100_000 + b"]" * 100_000, path("$[0]"), "json")
