"""Where a user's own program comes from: an archive, S3, or the image."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.script_jobs import PROGRAMS, SOURCE, ScriptJobs, facts, reason
from toolkit.jobs.job import Channel, JobResult, execute


def archive(directory: Path) -> None:
    """sourcedir.tar.gz with facts.py, names that climb out, and links that lead out."""
    with tarfile.open(directory / "sourcedir.tar.gz", "w:gz") as tar:
        tar.add(PROGRAMS / "facts.py", "facts.py")
        for name in ("../../climbed.txt", "/absolute.txt"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
        link = tarfile.TarInfo("passwords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)


@pytest.mark.contract("TT-03", "TT-21")
def test_an_archive_is_unpacked_and_nothing_leaves_the_code_directory(
    scripts: ScriptJobs, tmp_path: Path
) -> None:
    archive(tmp_path)
    location = json.dumps(f"{SOURCE}/sourcedir.tar.gz")
    result = scripts.run(
        "facts.py",
        hyperparameters={"sagemaker_submit_directory": location},
        channels=(Channel("source", tmp_path),),
    )
    assert facts(result)["files"] == ["absolute.txt", "climbed.txt", "facts.py"]


@pytest.mark.contract("TT-06")
def test_a_code_directory_with_files_is_used_as_it_is_and_the_log_says_so(
    scripts: ScriptJobs, tmp_path: Path
) -> None:
    (tmp_path / "facts.py").write_bytes((PROGRAMS / "facts.py").read_bytes())
    (tmp_path / "of-the-image").touch()
    planned = scripts.plan("facts.py")
    code = replace(planned.run.binds[0], source=tmp_path, target="/opt/ml/code")
    result = execute(replace(planned, run=replace(planned.run, binds=(*planned.run.binds, code))))
    assert "of-the-image" in facts(result)["files"]
    assert "/opt/ml/code" in result.log.read_text()


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a container that reaches an S3 with s3://sources/sourcedir.tar.gz."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="0.0.0.0", port=0)
    server.start()
    try:
        _, port = server.get_host_and_port()
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket="sources")
        archive(tmp_path)
        client.upload_file(str(tmp_path / "sourcedir.tar.gz"), "sources", "sourcedir.tar.gz")
        yield {**keys, "PORT": str(port)}
    finally:
        server.stop()


def bridge_gateway() -> str:
    """The address under which a container on Docker's own network finds this machine."""
    command = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run_from(location: str, scripts: ScriptJobs, bucket: dict[str, str]) -> JobResult:
    """A job whose source lies at `location`."""
    port = bucket.pop("PORT")
    planned = scripts.plan(
        "facts.py",
        hyperparameters={"sagemaker_submit_directory": json.dumps(location)},
        environment={**bucket, "AWS_ENDPOINT_URL_S3": f"http://{bridge_gateway()}:{port}"},
        channels=(),
        isolated=False,
    )
    run = replace(planned.run, network="bridge", aliases=(), own_names=planned.run.aliases)
    return execute(replace(planned, run=run))


@pytest.mark.contract("TT-03", "LOCAL-07", "V3-40")
def test_a_source_on_s3_is_fetched(scripts: ScriptJobs, bucket: dict[str, str]) -> None:
    result = run_from("s3://sources/sourcedir.tar.gz", scripts, bucket)
    assert "facts.py" in facts(result)["files"]


@pytest.mark.contract("TRAIN-77")
def test_a_source_that_is_not_on_s3_is_named(scripts: ScriptJobs, bucket: dict[str, str]) -> None:
    result = run_from("s3://sources/missing.tar.gz", scripts, bucket)
    assert "s3://sources/missing.tar.gz" in reason(result)


@pytest.mark.contract("TRAIN-77")
def test_a_source_on_s3_is_refused_under_isolation(scripts: ScriptJobs) -> None:
    location = json.dumps("s3://sources/sourcedir.tar.gz")
    result = scripts.run(
        "facts.py", hyperparameters={"sagemaker_submit_directory": location}, channels=(), isolated=True
    )
    assert "s3://sources/sourcedir.tar.gz" in reason(result)
