"""Compressed inputs of batch transform."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.transform.payloads import payloads
from toolkit.transform.records import RecordError
from toolkit.transform.settings import MB, Resolved, TransformJob

JOB = TransformJob("an-image", None, Path("in"), Path("out"), compression_type="Gzip")
ROWS = b"".join(b"%d,2\n" % number for number in range(1000))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "rows.csv.gz"
    found.write_bytes(gzip.compress(ROWS))
    return found


def bodies(path: Path, job: TransformJob, limit: int, strategy: str = "MultiRecord") -> list[bytes]:
    found = (payload.body() for payload in payloads(path, job, Resolved(limit, 1, strategy)))
    return [body if isinstance(body, bytes) else b"".join(body) for body in found]


@pytest.mark.parametrize("limit", [0, MB])
@pytest.mark.parametrize("split_type", ["None", "Line"])
def test_the_container_gets_the_content_of_a_compressed_file(path, limit, split_type) -> None:
    assert bodies(path, replace(JOB, split_type=split_type), limit) == [ROWS]


def test_records_of_a_compressed_file_are_split(path) -> None:
    line = replace(JOB, split_type="Line")
    assert b"".join(bodies(path, line, 100)) == ROWS
    assert len(bodies(path, line, MB, "SingleRecord")) == 1000


def test_the_payload_limit_is_that_of_the_content(path) -> None:
    limit = path.stat().st_size
    assert limit < len(ROWS)
    with pytest.raises(RecordError, match="larger than --max-payload"):
        bodies(path, JOB, limit)
    assert bodies(path, JOB, len(ROWS)) == [ROWS]


@pytest.mark.parametrize("split_type", ["None", "Line"])
@pytest.mark.parametrize("limit", [0, MB])
@pytest.mark.parametrize(
    "spoil", [lambda data: ROWS, lambda data: data[:-20], lambda data: data[:20] + b"x" * 20 + data[40:]]
)
def test_a_file_that_is_not_gzip_or_not_whole_is_an_error_of_that_file(
    path, limit, split_type, spoil
) -> None:
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(RecordError, match="--compression-type Gzip"):
        bodies(path, replace(JOB, split_type=split_type), limit)


def test_an_empty_content_has_no_request(path) -> None:
    path.write_bytes(gzip.compress(b""))
    assert bodies(path, JOB, MB) == bodies(path, JOB, 0) == []
