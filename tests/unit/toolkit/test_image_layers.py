"""What a verification makes of the layers of an image."""

from __future__ import annotations

import io
import json
import tarfile

from toolkit.verify.layers import _read


def layer(*members):
    """A tar of (name, content, mode), where content of text is a link's target."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content, mode in members:
            member = tarfile.TarInfo(name)
            member.mode = mode
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def saved(*layers, config=None):
    """What `docker save` prints."""
    stream = io.BytesIO()
    names = [f"blobs/sha256/{number}" for number in range(len(layers))]
    manifest = json.dumps([{"Config": "config", "Layers": names}]).encode()
    documents = {"config": json.dumps({"config": config or {}}).encode(), "manifest.json": manifest}
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in {**dict(zip(names, layers, strict=True)), **documents}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


def test_a_program_is_found_through_links_of_directories_and_files():
    files = _read(
        saved(
            layer(("bin", "usr/bin", 0o777), ("usr/bin/tool", b"#!/bin/sh\n", 0o755)),
            layer(("usr/local/bin/train", "../../bin/tool", 0o777), ("usr/local/bin/serve", b"x", 0o644)),
        )
    )
    assert files.program("train") == "/usr/local/bin/train"
    assert files.resolve("/bin/tool") == "/usr/bin/tool"
    assert files.program("serve") is None


def test_what_a_later_layer_removes_is_in_the_earlier_one_still():
    files = _read(saved(layer(("root/.netrc", b"password x", 0o600)), layer(("root/.wh..netrc", b"", 0o600))))
    assert "/root/.netrc" not in files.files
    assert files.layers[0]["/root/.netrc"].text == b"password x"


def test_links_in_a_circle_lead_nowhere():
    files = _read(saved(layer(("a", "b", 0o777), ("b", "a", 0o777))))
    assert files.get("/a/c") is None
