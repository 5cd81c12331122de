"""What CreateTrainingJob refuses is refused before anything is written, with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolkit.errors import ToolkitError
from toolkit.jobs.training_job import Channel, InstanceGroup, TrainingJob, plan

IMAGE = "opt-ml/ensemble-cpu:latest"


def refusal(**changes: Any) -> str:
    with pytest.raises(ToolkitError) as caught:
        plan(TrainingJob(IMAGE, **{"name": "a-job", **changes}))
    return str(caught.value)


def channel_refusal(path: Path, **changes: Any) -> str:
    return refusal(channels=(Channel("train", path, **changes),))


@pytest.mark.contract("TRAIN-09")
@pytest.mark.parametrize("words", [(), ("x" * 257,), ("x",) * 101])
@pytest.mark.parametrize("attribute", ["entrypoint", "arguments"])
def test_an_entrypoint_has_1_to_100_words_of_256_characters(attribute: str, words: tuple[str, ...]) -> None:
    assert "TRAIN-09" in refusal(**{attribute: words})


@pytest.mark.contract("TRAIN-98")
@pytest.mark.parametrize("seconds", [0, -1, 28 * 24 * 3600 + 1])
def test_a_job_runs_for_at_most_28_days(seconds: float) -> None:
    assert "28 days" in refusal(max_run=seconds)


@pytest.mark.parametrize("changes", [{"stop_after": -1}, {"spot_interrupt_after": (5, float("nan"))}])
def test_a_time_that_is_none_is_named(changes: dict[str, Any]) -> None:
    assert next(iter(changes)) in refusal(**changes)


@pytest.mark.contract("TRAIN-99")
@pytest.mark.parametrize(
    "changes",
    [{"spot_interrupt_after": (1.0,)}, {"instance_groups": (InstanceGroup("one", "ml.m5.large", 1),)}],
)
def test_a_warm_pool_goes_neither_with_spot_nor_with_groups(changes: dict[str, Any], tmp_path: Path) -> None:
    assert "warm pool" in refusal(warm_pool_dir=tmp_path, **changes)


@pytest.mark.contract("TRAIN-110")
@pytest.mark.parametrize(
    "metrics",
    [
        {f"m{number}": "(.)" for number in range(41)},
        {"m" * 256: "(.)"},
        {"m": "(" + "x" * 500 + ")"},
        {"m": "("},
        {"m": "loss=.*"},
    ],
)
def test_a_metric_definition_that_the_platform_refuses_is_refused(metrics: dict[str, str]) -> None:
    assert "metric" in refusal(metrics=metrics).lower()


@pytest.mark.contract("TRAIN-45")
def test_at_most_five_instance_groups_of_different_names() -> None:
    group = InstanceGroup("one", "ml.m5.large", 1)
    assert "given twice" in refusal(instance_groups=(group, group))
    six = tuple(InstanceGroup(f"g{number}", "ml.m5.large", 1) for number in range(6))
    assert "at most 5" in refusal(instance_groups=six)
    assert "at least one host, not 0" in refusal(hosts=0)


@pytest.mark.contract("TRAIN-45")
def test_a_channel_for_a_group_that_is_not_there_is_told_the_nearest(tmp_path: Path) -> None:
    groups = (InstanceGroup("workers", "ml.m5.large", 1),)
    channels = (Channel("train", tmp_path, instance_groups=("worker",)),)
    assert "Did you mean workers?" in refusal(instance_groups=groups, channels=channels)


@pytest.mark.contract("TRAIN-90")
@pytest.mark.parametrize("path", ["checkpoints", "/opt/ml/model/x", "/opt/ml/input", "/" + "x" * 4096])
def test_checkpoints_have_an_absolute_path_of_their_own(path: str) -> None:
    assert "checkpoint path" in refusal(checkpoint_path=path)


def test_a_script_that_is_not_in_its_directory_is_told_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    assert "--entry-point train.py" in refusal(source_dir=tmp_path, entry_point="trian.py")
    assert "--source-dir" in refusal(entry_point="train.py")


@pytest.mark.contract("TRAIN-59", "TRAIN-60", "TRAIN-54", "TRAIN-62", "TRAIN-55")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"record_wrapper": "RecordIO"}, "Pipe mode"),
        ({"attribute_names": ("a",)}, "Pipe mode"),
        ({"attribute_names": ("a",) * 17, "input_mode": "Pipe"}, "at most 16"),
        ({"manifest": True, "input_mode": "FastFile"}, "only a prefix"),
        ({"access": "rw", "distribution": "ShardedByS3Key"}, "fully replicated"),
        ({"access": "copy", "input_mode": "FastFile"}, "nothing to write to"),
        ({"input_mode": "Fastfile"}, "Did you mean FastFile?"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert words in channel_refusal(tmp_path, **changes)


@pytest.mark.contract("TRAIN-60")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 is no JSON object"),
        ("[1]", "line 2 is no JSON object"),
        ('{"other": 1}', "line 2 has no attribute label"),
        ('{"label": 1, "photo-ref": "s3://b/none.jpg"}', "names s3://b/none.jpg"),
        ('{"label": 1, "photo-ref": 1}', "photo-ref is no address"),
    ],
)
def test_a_wrong_line_of_an_augmented_manifest_is_named(line: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").touch()
    good = json.dumps({"label": 1, "photo-ref": "s3://bucket/x/one.jpg"})
    (tmp_path / "list.manifest").write_text(f"{good}\n{line}\n")
    names = ("label", "photo-ref")
    found = channel_refusal(tmp_path / "list.manifest", attribute_names=names, input_mode="Pipe")
    assert words in found


@pytest.mark.contract("TRAIN-53")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "is not a manifest"),
        ("[]", "is not a manifest"),
        ('["a"]', "is not a manifest"),
        ('[{"prefix": "s3://b/"}, "../secret"]', "lists ../secret"),
        ('[{"prefix": "s3://b/"}, "none.csv"]', "lists none.csv"),
    ],
)
def test_a_manifest_that_is_none_or_lists_nothing_is_named(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(text)
    assert words in channel_refusal(tmp_path / "list.json", manifest=True)


@pytest.mark.parametrize("cpus", [0, -1, float("nan"), float("inf")])
def test_a_number_of_cpus_that_is_none_is_refused(cpus: float) -> None:
    assert "--cpus 1.5" in refusal(cpus=cpus)


def test_hyphens_count_in_the_63_characters_of_a_name() -> None:
    assert "1 to 63" in refusal(name="a" + "-" * 70 + "b")


def test_a_link_by_an_absolute_path_is_refused_even_inside_the_channel(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").touch()
    (tmp_path / "link.csv").symlink_to(tmp_path / "rows.csv")
    assert "by an absolute path" in channel_refusal(tmp_path)
