"""Images are pushed to a real registry, behind the API of ECR, and looked at there on the wire."""

from __future__ import annotations

import http.client
import io
import json
import re
import subprocess
import tarfile

import pytest

from tests.integration.push.pushing import (
    FOUND,
    LARGE,
    REGION,
    assert_schema_2,
    build,
    fetch,
    push,
)
from tests.integration.push.second_engine import containerd_engine
from tests.registry import registry
from toolkit.machine import docker as engine
from toolkit.namespace import LOCAL_NAMESPACE
from toolkit.registry import progress, transport
from toolkit.registry.acceptance import OCI_INDEX


@pytest.mark.contract("IMG-01", "IMG-03", "IMG-04")
def test_an_image_goes_up_as_schema_2_and_comes_back_as_it_was(image, tmp_path, capsys):
    built = engine.inspect_image(image)
    with registry(tmp_path) as host:
        code, out, _ = push(capsys, image, "--registry", host, "--json")
        assert code == 0
        (pushed,) = json.loads(out)
        body = assert_schema_2(host, FOUND, "latest")
        assert body["config"]["digest"] == built["Id"]  # the very image that was tested
        subprocess.run(["docker", "pull", "--quiet", pushed["digest_uri"]], check=True, capture_output=True)
        try:
            assert engine.inspect_image(pushed["digest_uri"])["Id"] == built["Id"]
        finally:
            subprocess.run(["docker", "rmi", pushed["digest_uri"]], check=True, capture_output=True)


@pytest.mark.contract("IMG-01", "IMG-03", "IMG-04")
def test_an_engine_that_keeps_oci_pushes_schema_2_too(aws, tmp_path, capsys, monkeypatch):
    with containerd_engine() as docker_host:
        directory = tmp_path / "context"
        directory.mkdir()
        build(directory, "text", docker_host, "pushed:latest")
        monkeypatch.setenv("DOCKER_HOST", docker_host)
        assert engine.find_engine().storage == "overlayfs"
        archive = subprocess.run(["docker", "save", "pushed:latest"], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            index = json.load(tar.extractfile("index.json"))
        assert [one["mediaType"] for one in index["manifests"]] == [
            OCI_INDEX
        ]  # what `docker push` would send

        assert push(capsys, "pushed:latest")[0] == 0
        body = assert_schema_2(aws.backend, f"{REGION}/{FOUND}", "latest")
        saved = json.loads(fetch(aws.backend, f"/v2/{REGION}/{FOUND}/blobs/{body['config']['digest']}")[2])
        assert saved["rootfs"]["diff_ids"] == engine.inspect_image("pushed:latest")["RootFS"]["Layers"]
        assert push(capsys, "pushed:latest")[1].count(" 0.0 of them sent") == 1


def test_a_tag_of_something_that_sagemaker_would_refuse_is_told(image, aws, capsys):
    assert push(capsys, image)[0] == 0
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
    connection = http.client.HTTPConnection(aws.backend)
    place = f"/v2/{REGION}/{FOUND}/manifests/theirs"
    connection.request("PUT", place, index, {"Content-Type": OCI_INDEX})
    assert connection.getresponse().status == 201
    code, _, said = push(capsys, image, "--tag", "theirs")
    assert code == 2
    assert f"SageMaker would refuse it: the manifest is an OCI index ({OCI_INDEX})" in said
    assert "--tag" in said


def test_a_new_repository_scans_and_keeps_tags_and_the_image_uri_is_written(image, aws, tmp_path, capsys):
    written = tmp_path / "uri.txt"
    code, out, _ = push(capsys, image, "--tag", "v1", "--write", str(written))
    assert code == 0
    uri = f"{aws.host(REGION)}/{FOUND}:v1"
    assert f"image_uri  {uri}\n" in out
    assert written.read_text() == f"{uri}\n"
    found = aws.describe(REGION, FOUND)
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert [aws.is_fixed(REGION, FOUND, tag) for tag in ("v1", "latest")] == [True, False]
    assert "PutLifecyclePolicy" in aws.calls
    unique = f"-0123456-{engine.inspect_image(image)['Id'][7:19]}"
    (record,) = json.loads((tmp_path / "records" / "pushed.json").read_text())
    assert [tag.endswith(unique) for tag in record["tags"]] == [False, True, False]
    for tag in record["tags"]:
        assert_schema_2(aws.backend, f"{REGION}/{FOUND}", tag)


def test_what_is_there_is_not_sent_again(image, aws, tmp_path, capsys):
    assert push(capsys, image)[0] == 0
    sent = list(aws.uploads)
    assert max(sent) > LARGE
    code, out, _ = push(capsys, image)
    assert code == 0
    assert "0.0 of them sent" in out
    assert aws.uploads == sent

    directory = tmp_path / "second"
    directory.mkdir()
    try:
        build(directory, "second")
        assert push(capsys, image)[0] == 0
    finally:
        build(directory, "first")
    assert sum(aws.uploads[len(sent) :]) < 10_000  # the text and the configuration
    assert push(capsys, image, "--repository", "sagemaker/other")[0] == 0
    assert aws.uploads.count(max(sent)) == 1  # taken over from the other repository


def test_an_image_of_another_build_does_not_get_a_tag_that_is_taken(image, aws, tmp_path, capsys):
    assert push(capsys, image, "--tag", "v1")[0] == 0
    sent = len(aws.uploads)
    directory = tmp_path / "second"
    directory.mkdir()
    other = f"{LOCAL_NAMESPACE}/other:latest"
    build(directory, "other", tag=other)
    try:
        code, _, said = push(capsys, other, "--repository", f"{FOUND}:v1")
    finally:
        subprocess.run(["docker", "rmi", "--force", other], capture_output=True, check=False)
    assert code == 2
    assert f"{FOUND}:v1 cannot be overwritten, and it is another image" in said
    assert "--tag" in said
    assert len(aws.uploads) == sent


def test_a_large_layer_tells_how_far_it_has_come(image, aws, capsys, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    code, _, said = push(capsys, image)
    assert code == 0
    for words in ("MB, {}% compressed", "MB  {}% sent"):
        parts = [int(found) for found in re.findall(words.replace("{}", r"(\d+)"), said)]
        assert parts == sorted(parts)
        assert len(set(parts)) > 1
    assert_schema_2(aws.backend, f"{REGION}/{FOUND}", "latest")


def test_a_cut_connection_is_tried_again(image, aws, capsys):
    aws.cuts += [100_000, 200_000]
    assert push(capsys, image)[0] == 0
    assert_schema_2(aws.backend, f"{REGION}/{FOUND}", "latest")


def test_a_network_that_stays_away_is_told_and_the_next_push_goes_on(image, aws, capsys):
    aws.cuts += [10_000] * 2 * transport.ATTEMPTS  # of both layers
    code, _, said = push(capsys, image)
    assert code == 1
    assert f"the connection to {aws.host(REGION)} failed {transport.ATTEMPTS} times" in said
    assert "Run the same command again" in said
    aws.cuts.clear()
    assert push(capsys, image)[0] == 0
    assert aws.uploads.count(max(aws.uploads)) == 1


def test_a_login_that_expires_on_the_way_is_renewed(image, aws, capsys):
    real = aws.describe

    def expire_once(region, repository):
        if aws.uploads and not expired:
            expired.append(True)
            aws.is_expired = True
        return real(region, repository)

    expired: list[bool] = []
    aws.describe = expire_once
    assert push(capsys, image)[0] == 0
    assert expired
    assert aws.calls.count("GetAuthorizationToken") == 3  # before the build, before the push, and anew


def test_several_regions_get_the_same_image(image, aws, capsys):
    other = "us-east-2"
    code, out, _ = push(capsys, image, "--region", REGION, "--region", other, "--json")
    assert code == 0
    pushed = json.loads(out)
    assert [one["region"] for one in pushed] == [REGION, other]
    assert len({one["digest_uri"].partition("@")[2] for one in pushed}) == 1
    for region in (REGION, other):
        assert_schema_2(aws.backend, f"{region}/{FOUND}", "latest")


def test_all_regions_are_those_of_the_account_with_sagemaker(aws):
    from toolkit.aws.regions import regions_of
    from toolkit.aws.session import Session
    from toolkit.registry.ecr import enabled_regions

    found = enabled_regions(Session())
    assert REGION in found
    assert set(found) <= set(regions_of("sagemaker"))
