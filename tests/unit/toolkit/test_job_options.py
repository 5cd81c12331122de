"""What a person types for a job or an endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.channel_option import parse_channels
from toolkit.errors import ToolkitError
from toolkit.options import parse_pairs, parse_size, read_hyperparameters, read_payload
from toolkit.training_job import Channel


def test_a_value_may_hold_equals_signs_and_may_be_empty() -> None:
    assert parse_pairs("--environment", ["A=b=c", "EMPTY="]) == {"A": "b=c", "EMPTY": ""}


@pytest.mark.parametrize("text", ["eta", "=1", ""])
def test_what_is_no_pair_is_named_with_its_option(text: str) -> None:
    with pytest.raises(ToolkitError, match="--hyperparameter") as caught:
        parse_pairs("--hyperparameter", [text])
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("train=data", Channel("train", Path("data"))),
        ("train=data/a.csv,text/csv", Channel("train", Path("data/a.csv"), "text/csv")),
        ("train=a,b.csv", Channel("train", Path("a,b.csv"))),
    ],
)
def test_a_channel_is_a_name_a_path_and_perhaps_a_type(text: str, channel: Channel) -> None:
    assert parse_channels([text]) == (channel,)


def test_a_path_that_exists_is_never_taken_for_a_type(tmp_path: Path) -> None:
    path = tmp_path / "a,text" / "csv"
    path.mkdir(parents=True)
    assert parse_channels([f"train={path}"]) == (Channel("train", path),)


@pytest.mark.parametrize("text", ["train", "train=", "=data"])
def test_a_malformed_channel_is_named(text: str) -> None:
    with pytest.raises(ToolkitError, match=f"--channel {text}: this is not NAME=PATH"):
        parse_channels([text])


@pytest.mark.contract("TRAIN-30")
def test_numbers_of_a_json_file_become_text(tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text('{"eta": 0.1, "objective": "binary", "flag": true, "list": [1, 2]}')
    assert read_hyperparameters(tmp_path / "h.json") == {
        "eta": "0.1",
        "objective": "binary",
        "flag": "true",
        "list": "[1, 2]",
    }


@pytest.mark.parametrize("text", ["[1]", "{", "\xff"])
def test_hyperparameters_that_are_no_json_object_are_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "h.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ToolkitError, match=r"h\.json"):
        read_hyperparameters(tmp_path / "h.json")


@pytest.mark.parametrize(("text", "size"), [("100", 100), ("512m", 512 * 2**20), ("4G", 4 * 2**30)])
def test_sizes_are_read_as_docker_reads_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1g", "4gb", "much"])
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(ToolkitError, match="--memory"):
        parse_size(text)


def test_a_payload_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolkitError, match="--payload no-such cannot be read"):
        read_payload("no-such")
