"""What is pushed where, and what SageMaker takes: rules that need neither Docker nor a network."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import ToolkitError, WorkError
from toolkit.registry.acceptance import (
    CONFIG,
    LAYER,
    MANIFEST,
    MANIFEST_LIST,
    OCI_INDEX,
    OCI_MANIFEST,
    find_refusals,
)
from toolkit.registry.archive import Archive
from toolkit.registry.compression import BLOCK, Blob, ZstdLayerError, gzip_layer
from toolkit.registry.known_layers import KnownLayers
from toolkit.registry.names import check_account, check_reference, check_repository, check_tag, short_name
from toolkit.registry.policies import add_pull, make_lifecycle
from toolkit.registry.push import make_manifest
from toolkit.registry.tags import make_tag, read_scheme

FACTS = {
    "Id": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "Created": "2026-11-21T14:21:33.710883962Z",
    "Config": {"Labels": {"org.opencontainers.image.revision": "caa0f2cdeadbeef"}},
}
LAYERS = [Blob.of(b"a"), Blob.of(b"b")]
SCHEMA_2 = make_manifest(Blob.of(b"{}"), LAYERS)


@pytest.mark.contract("IMG-10")
@pytest.mark.parametrize("name", ["ab", "sagemaker/ensemble-cpu", "a.b/c_d/e__f/g---h", "a" * 256])
def test_names_that_ecr_takes(name):
    assert check_repository(name) == name


@pytest.mark.contract("IMG-10")
@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("Team/Ensemble", "--repository team/ensemble"),
        ("a", "--repository sagemaker/NAME"),
        ("-ab", "--repository ab"),
        ("a//b", "--repository a/b"),
        ("a..b", "--repository a-b"),
        ("a" * 257, "--repository " + "a" * 256),
    ],
)
def test_names_that_ecr_refuses_come_with_one_that_it_takes(name, proposal):
    with pytest.raises(ToolkitError) as caught:
        check_repository(name)
    assert caught.value.cure == proposal


@pytest.mark.contract("IMG-10")
def test_tags_and_references_have_a_longest_form():
    assert check_tag("v1.0_A-b") == "v1.0_A-b"
    for wrong in ("", ".a", "-a", "a b", "a:b", "a" * 129):
        with pytest.raises(ToolkitError):
            check_tag(wrong)
    assert check_reference("r" * 255)
    with pytest.raises(ToolkitError, match="256 characters"):
        check_reference("r" * 256)
    with pytest.raises(ToolkitError, match="twelve digits"):
        check_account("1234")


@pytest.mark.parametrize(
    "reference",
    [
        "name",
        "name:1.0",
        "team/name",
        "host:5000/team/name:1.0",
        f"host:5000/name@sha256:{'0' * 64}",
        "name:1@x",
    ],
)
def test_the_short_name_of_a_reference_is_without_registry_tag_and_digest(reference):
    assert short_name(reference) == "name"


def test_the_first_tag_names_one_image_for_good():
    first, *others = read_scheme()
    assert not first.moves
    assert "{id}" in first.pattern
    assert make_tag(first, FACTS) == "20261121-caa0f2c-0123456789ab"
    assert [rule.pattern for rule in others if "{id}" not in rule.pattern and not rule.moves] == []


def test_tags_of_the_scheme_differ_from_each_other():
    made = [make_tag(rule, FACTS) for rule in read_scheme()]
    assert len(set(made)) == len(made)


def test_an_image_without_a_revision_has_a_tag_too():
    assert make_tag(read_scheme()[0], {**FACTS, "Config": {"Labels": None}}).split("-")[1] == "unknown"


@pytest.mark.contract("IMG-01", "IMG-04")
def test_our_manifest_is_what_sagemaker_takes():
    assert find_refusals(MANIFEST, SCHEMA_2) == []


def altered(**changes):
    manifest = json.loads(SCHEMA_2)
    if "config" in changes:
        manifest["config"]["mediaType"] = changes["config"]
    if "layer" in changes:
        manifest["layers"][1]["mediaType"] = changes["layer"]
    return json.dumps(manifest).encode()


@pytest.mark.contract("IMG-01", "IMG-03", "IMG-04", "IMG-05")
@pytest.mark.parametrize(
    ("media_type", "body", "named"),
    [
        (OCI_MANIFEST, SCHEMA_2, OCI_MANIFEST),
        (OCI_INDEX, b'{"manifests": []}', "index"),
        (MANIFEST_LIST, b'{"manifests": []}', MANIFEST_LIST),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}", "v1"),
        ("", SCHEMA_2, "no type"),
        (MANIFEST, b"not JSON", "no JSON object"),
        (MANIFEST, altered(config="application/vnd.oci.image.config.v1+json"), "oci.image.config"),
        (MANIFEST, altered(layer="application/vnd.docker.image.rootfs.diff.tar.zstd"), "tar.zstd"),
        (MANIFEST, altered(layer="application/vnd.oci.image.layer.v1.tar+gzip"), "oci.image.layer"),
        (MANIFEST, altered(layer="application/vnd.docker.image.rootfs.diff.tar"), "diff.tar;"),
    ],
)
def test_other_manifests_are_refused_with_the_cure(media_type, body, named):
    (refusal,) = find_refusals(media_type, body)
    assert named in refusal.cause
    assert "./build.py push" in refusal.cure


@pytest.mark.contract("IMG-01", "IMG-04")
def test_a_manifest_has_the_same_bytes_each_time():
    manifest = json.loads(make_manifest(Blob.of(b"{}"), LAYERS))
    assert make_manifest(Blob.of(b"{}"), LAYERS) == SCHEMA_2
    assert manifest["mediaType"] == MANIFEST
    assert manifest["config"]["mediaType"] == CONFIG
    assert [layer["mediaType"] for layer in manifest["layers"]] == [LAYER, LAYER]


def test_only_untagged_images_expire():
    rules = json.loads(make_lifecycle())["rules"]
    assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged"]
    assert all(rule["selection"]["countNumber"] >= 14 for rule in rules)


def test_who_may_pull_is_added_to_what_a_policy_says():
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "ecr:DeleteRepository"}
    first = add_pull({"Version": "2012-10-17", "Statement": [theirs]}, "aws-cn", ["111111111111"], False)
    second = add_pull(first, "aws-cn", ["222222222222"], True)
    assert second["Statement"][0] == theirs
    assert second["Statement"][1]["Principal"] == {
        "AWS": ["arn:aws-cn:iam::111111111111:root", "arn:aws-cn:iam::222222222222:root"]
    }
    assert second["Statement"][2]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert add_pull(second, "aws-cn", ["111111111111"], False) == second


def zipped(content):
    target = io.BytesIO()
    return gzip_layer(io.BytesIO(content), target), target.getvalue()


@settings(max_examples=5, deadline=None)
@given(st.binary(min_size=1, max_size=100), st.integers(0, 3 * BLOCK))
def test_a_layer_comes_back_as_it_was_and_the_same_each_time(seed, size):
    content = (seed * (size // len(seed) + 1))[:size] or seed
    blob, body = zipped(content)
    assert gzip.decompress(body) == content
    assert blob == Blob.of(body)
    assert zipped(content)[1] == body


@pytest.mark.contract("IMG-04")
def test_gzip_is_sent_as_it_is_and_zstd_is_refused():
    _, body = zipped(b"content")
    assert zipped(body)[1] == body
    with pytest.raises(ZstdLayerError):
        zipped(b"\x28\xb5\x2f\xfd and more")


def archive_of(*members):
    """`docker save`: pairs of a name and its content, or of a name and where a link leads."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return Archive(io.BytesIO(buffer.getvalue()))


def manifest_json(config, *layers):
    return json.dumps([{"Config": config, "RepoTags": None, "Layers": layers}]).encode()


def test_an_archive_of_a_new_engine_tells_layers_from_documents():
    archive = archive_of(
        ("blobs/sha256/c0", b'{"rootfs": {}}'),
        ("blobs/sha256/11", b"a layer"),
        ("blobs/sha256/22", b"{ a layer that begins like a document"),
        ("manifest.json", manifest_json("blobs/sha256/c0", "blobs/sha256/22", "blobs/sha256/11")),
        ("index.json", b"{}"),
    )
    assert [(name, content.read()) for name, _, content in archive.layers()] == [
        ("blobs/sha256/11", b"a layer"),
        ("blobs/sha256/22", b"{ a layer that begins like a document"),
    ]
    assert archive.configuration() == b'{"rootfs": {}}'
    assert archive.order() == ["blobs/sha256/22", "blobs/sha256/11"]


def test_an_archive_of_an_old_engine_has_directories_and_links():
    archive = archive_of(
        ("aa/VERSION", b"1.0"),
        ("aa/json", b"{}"),
        ("aa/layer.tar", b"a layer"),
        ("bb/layer.tar", "../aa/layer.tar"),
        ("c0.json", b'{"rootfs": {}}'),
        ("manifest.json", manifest_json("c0.json", "aa/layer.tar", "bb/layer.tar")),
    )
    assert [name for name, _, _ in archive.layers()] == ["aa/layer.tar"]
    assert archive.order() == ["aa/layer.tar", "aa/layer.tar"]
    assert archive.configuration() == b'{"rootfs": {}}'


def test_an_archive_that_is_cut_short_is_an_error_with_a_cause():
    whole = archive_of(("blobs/sha256/11", b"a layer" * 1000)).stream.read()
    with pytest.raises(WorkError, match="ended too soon"):
        for _, _, content in Archive(io.BytesIO(whole[:3000])).layers():
            content.read()
    archive = Archive(io.BytesIO(whole))
    list(archive.layers())
    with pytest.raises(WorkError, match="no manifest"):
        archive.order()


def test_layers_are_known_again(tmp_path):
    path = tmp_path / "deep" / "layers.json"
    known = KnownLayers(path)
    known.remember_compressed("blobs/sha256/11", LAYERS[0])
    known.remember_compressed("aa/layer.tar", LAYERS[1])
    known.remember_place("host", "one", "sha256:d")
    known.remember_place("host", "two", "sha256:d")
    again = KnownLayers(path)
    assert again.compressed("blobs/sha256/11") == LAYERS[0]
    assert again.compressed("aa/layer.tar") is None
    assert again.repository_with("host", "sha256:d", "two") == "one"
    assert again.repository_with("elsewhere", "sha256:d", "two") is None
    path.write_text("spoilt")
    assert KnownLayers(path).compressed("blobs/sha256/11") is None
