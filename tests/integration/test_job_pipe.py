"""Pipe mode: FIFOs that a container of the tiny image reads, fed from files of this machine."""

from __future__ import annotations

import json
import re
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.errors import ToolkitError
from toolkit.jobs.job import Channel, JobResult

RunScript = Callable[..., JobResult]
Said = Callable[[JobResult], dict[str, list[str]]]

READ = """
def read(epoch, size=-1, channel="train"):
    path = base / f"input/data/{channel}_{epoch}"
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.01)
    with path.open("rb", buffering=0 if size >= 0 else -1) as fifo:
        return fifo.read(size)
"""


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Objects whose keys S3 sorts otherwise than a file system's walk: `a-b` before `a/b`."""
    directory = tmp_path / "parts"
    for key in ("a/b.txt", "a-b.txt", "z.txt"):
        (directory / key).parent.mkdir(parents=True, exist_ok=True)
        (directory / key).write_text(f"<{key}>")
    return directory


def feeders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "_feed" in thread.name]


@pytest.mark.contract("TRAIN-56", "TRAIN-57", "TRAIN-58")
def test_each_epoch_is_a_fifo_of_its_own_with_the_objects_end_to_end(
    run_script: RunScript, said: Said, parts: Path
) -> None:
    result = run_script(
        READ
        + """
print(os.listdir(base / "input/data"))
for epoch in range(3):
    print(read(epoch).decode(), (base / f"input/data/train_{epoch}").exists())
print(config("inputdataconfig")["train"]["TrainingInputMode"])
""",
        channels=(Channel("train", parts, input_mode="Pipe"),),
    )
    assert result.status == "Completed", result.summary()
    listing, *epochs, mode = said(result)["algo-1"]
    assert listing in {"[]", "['train_0']"}
    assert epochs == ["<a-b.txt><a/b.txt><z.txt> False"] * 3
    assert mode == "Pipe"
    assert list((result.host_dir / "input" / "data").iterdir()) == []
    assert feeders() == []


@pytest.mark.contract("TRAIN-58")
def test_a_reader_may_close_early_and_go_on_with_the_next_epoch(
    run_script: RunScript, said: Said, tmp_path: Path
) -> None:
    (tmp_path / "large.bin").write_bytes(b"0123456789" * 1_000_000)
    result = run_script(
        READ + "print(read(0, 10).decode(), len(read(1)))",
        channels=(Channel("train", tmp_path / "large.bin", input_mode="Pipe"),),
    )
    assert said(result)["algo-1"] == ["0123456789 10000000"]


@pytest.mark.contract("TRAIN-58")
def test_a_channel_that_nobody_opens_holds_nothing_up(run_script: RunScript, parts: Path) -> None:
    result = run_script("print('done')", channels=(Channel("train", parts),), input_mode="Pipe")
    assert result.status == "Completed"
    assert feeders() == []


def test_a_job_that_is_stopped_while_it_reads_leaves_no_thread(run_script: RunScript, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(b"0" * 20_000_000)
    script = READ.replace(
        "return fifo.read(size)", "fifo.read(10); print('read', flush=True); time.sleep(600)"
    )

    def interrupt(line: str) -> None:
        if "read" in line:
            raise KeyboardInterrupt

    result = run_script(
        script + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\nread(0)",
        channels=(Channel("train", tmp_path / "large.bin", input_mode="Pipe"),),
        on_line=interrupt,
    )
    assert (result.status, result.exit_code) == ("Stopped", 143)
    assert feeders() == []


@pytest.mark.contract("TRAIN-59")
def test_recordio_wraps_each_object(run_script: RunScript, said: Said, parts: Path) -> None:
    result = run_script(
        READ + "print(read(0).hex())",
        channels=(Channel("train", parts, input_mode="Pipe", record_wrapper="RecordIO"),),
    )
    stream = bytes.fromhex(said(result)["algo-1"][0])
    records = []
    while stream:
        magic, length = struct.unpack("<II", stream[:8])
        assert magic == 0xCED7230A
        records.append(stream[8 : 8 + length].decode())
        assert set(stream[8 + length : 8 + length + -length % 4]) <= {0}
        stream = stream[8 + length + -length % 4 :]
    assert records == ["<a-b.txt>", "<a/b.txt>", "<z.txt>"]


@pytest.mark.contract("TRAIN-60")
def test_an_augmented_manifest_sends_its_attributes_in_order(
    run_script: RunScript, said: Said, parts: Path
) -> None:
    lines = [{"label": 3, "source-ref": "s3://bucket/a/b.txt", "other": 0}]
    lines.append({"source-ref": "z.txt", "label": {"class": "x"}, "other": 0})
    (parts / "train.manifest").write_text("\n".join(map(json.dumps, lines)) + "\n")
    channel = Channel(
        "train", parts / "train.manifest", input_mode="Pipe", attribute_names=("source-ref", "label")
    )
    result = run_script(READ + "print(read(0).decode())", channels=(channel,))
    assert said(result)["algo-1"] == ['<a/b.txt>3<z.txt>{"class": "x"}']


@pytest.mark.contract("TRAIN-61")
def test_shuffling_gives_each_epoch_another_order_and_each_run_the_same(
    run_script: RunScript, said: Said, tmp_path: Path
) -> None:
    for number in range(20):
        (tmp_path / "many" / f"{number:02}").parent.mkdir(exist_ok=True)
        (tmp_path / "many" / f"{number:02}").write_text(f"{number:02} ")
    channel = Channel(
        "train", tmp_path / "many", input_mode="Pipe", shuffle_seed=7, distribution="ShardedByS3Key"
    )
    script = READ + "print(read(0).decode()); print(read(1).decode())"
    first = said(run_script(script, channels=(channel,), hosts=2))
    again = said(run_script(script, channels=(channel,), hosts=2, name="again"))
    assert first == again
    of_epochs = [[re.findall(r"\d+", lines[epoch]) for lines in first.values()] for epoch in (0, 1)]
    assert of_epochs[0] != of_epochs[1]
    for one, other in of_epochs:
        assert sorted(one + other) == [f"{number:02}" for number in range(20)]


def test_a_file_that_goes_away_ends_the_job_with_its_name(run_script: RunScript, parts: Path) -> None:
    def remove(line: str) -> None:
        (parts / "a-b.txt").unlink(missing_ok=True)
        (parts / "go").touch()

    script = """
print("started")
time.sleep(1)
print(read(0)[:0], read(1))
time.sleep(600)
"""
    with pytest.raises(ToolkitError, match=r"Channel train: .*a-b.txt cannot be read"):
        run_script(READ + script, channels=(Channel("train", parts, input_mode="Pipe"),), on_line=remove)
    assert feeders() == []


@pytest.mark.contract("TRAIN-58")
def test_a_container_that_removes_its_fifo_gets_the_next_epoch(
    run_script: RunScript, said: Said, tmp_path: Path
) -> None:
    # More than a FIFO holds: the feeder is still writing when its name goes.
    (tmp_path / "large.bin").write_bytes(b"0123456789" * 1_000_000)
    script = (
        READ
        + """
with open(base / "input/data/train_0", "rb") as fifo:
    os.remove(fifo.name)
    first = len(fifo.read())
print(first == len(read(1)) > 0)
"""
    )
    result = run_script(script, channels=(Channel("train", tmp_path / "large.bin"),), input_mode="Pipe")
    assert (result.status, said(result)["algo-1"]) == ("Completed", ["True"])
