"""What a person types for a job or an endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import ToolkitError
from toolkit.jobs.channel_option import parse_channels
from toolkit.jobs.options import (
    parse_groups,
    parse_pairs,
    parse_seconds,
    parse_size,
    read_hyperparameters,
    read_payload,
)
from toolkit.jobs.training_job import Channel, InstanceGroup


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


def test_a_file_that_is_not_there_is_told_from_one_that_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ToolkitError, match=r"h\.json cannot be read: No such file or directory\.$"):
        read_hyperparameters(tmp_path / "h.json")
    (tmp_path / "h.json").write_text("# Title")
    with pytest.raises(ToolkitError, match=r"h\.json is not JSON: "):
        read_hyperparameters(tmp_path / "h.json")


@pytest.mark.parametrize(("text", "size"), [("100", 100), ("512m", 512 * 2**20), ("4G", 4 * 2**30)])
def test_sizes_are_read_as_docker_reads_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1g", "4gb", "much"])
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(ToolkitError, match="--memory"):
        parse_size(text)


def test_a_payload_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolkitError, match="--body no-such cannot be read"):
        read_payload("no-such")


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("t=d,text/csv,mode=pipe", Channel("t", Path("d"), "text/csv", input_mode="Pipe")),
        ("t=d,mode=FastFile,text/csv", Channel("t", Path("d"), "text/csv", input_mode="FastFile")),
        ("t=d,distribution=shardedbys3key", Channel("t", Path("d"), distribution="ShardedByS3Key")),
        (
            "t=d,wrapper=RecordIO,shuffle=3",
            Channel("t", Path("d"), record_wrapper="RecordIO", shuffle_seed=3),
        ),
        ("t=d,groups=a+b", Channel("t", Path("d"), instance_groups=("a", "b"))),
        ("t=d,attributes=a-ref+label", Channel("t", Path("d"), attribute_names=("a-ref", "label"))),
        ("t=d,manifest=yes,access=rw", Channel("t", Path("d"), manifest=True, access="rw")),
        ("t=a,b,type=text/csv", Channel("t", Path("a,b"), "text/csv")),
    ],
)
def test_a_channel_takes_settings(text: str, channel: Channel) -> None:
    assert parse_channels([text]) == (channel,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t=d,mod=Pipe", "Did you mean mode?"),
        ("t=d,mode=Pip", "Did you mean Pipe?"),
        ("t=d,shuffle=yes", "no whole number"),
        ("t=,mode=Pipe", "there is no path"),
    ],
)
def test_a_setting_that_is_not_known_is_told_the_nearest(text: str, words: str) -> None:
    with pytest.raises(ToolkitError) as caught:
        parse_channels([text])
    assert text in str(caught.value)
    assert words in str(caught.value)


def test_a_path_that_looks_like_a_setting_and_exists_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a,mode=Pipe"
    path.touch()
    assert parse_channels([f"train={path}"]) == (Channel("train", path),)


def test_instance_groups_are_a_name_a_type_and_a_count() -> None:
    assert parse_groups(["gpu=ml.g5.xlarge:2"]) == (InstanceGroup("gpu", "ml.g5.xlarge", 2),)
    for text in ("gpu=ml.g5.xlarge", "gpu=:2", "gpu=ml.g5.xlarge:0"):
        with pytest.raises(ToolkitError, match="NAME=TYPE:COUNT"):
            parse_groups([text])


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5", 1.5), ("30s", 30), ("5m", 300), ("2H", 7200)]
)
def test_times_have_a_unit_or_are_seconds(text: str, seconds: float) -> None:
    assert parse_seconds("--stop-after", text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "soon", "1d", "nan", "inf"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(ToolkitError, match="--stop-after"):
        parse_seconds("--stop-after", text)
