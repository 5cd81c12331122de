"""Builds behind a TLS-intercepting proxy, with a private index, and without any index.

A tiny wheel is served over TLS by a server whose certificate only a private CA vouches for, as a company's
proxy does it; the build runs the same `pip-install` that every Dockerfile of the project runs.
"""

import base64
import functools
import gzip
import hashlib
import http.server
import io
import json
import ssl
import subprocess
import tarfile
import threading
import uuid
import zipfile

import pytest

from toolkit.building import bake, images
from toolkit.building.bake import Surroundings
from toolkit.building.images import CONTAINERS
from toolkit.errors import ToolkitError
from toolkit.machine import buildx
from toolkit.namespace import LOCAL_NAMESPACE

pytestmark = pytest.mark.docker

DOCKERFILE = """
FROM scratch AS wheelhouse
FROM base
ARG PIP_NO_INDEX
RUN --mount=from=shared,target=/shared --mount=from=wheelhouse,target=/wheelhouse \
    --mount=type=secret,id=ca --mount=type=secret,id=pip_index \
    : {nonce}; /shared/pip-install tiny-package==1.0
"""
REFERENCE = f"{LOCAL_NAMESPACE}/test-build-network:latest"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A folder with one wheel in it."""
    folder = tmp_path_factory.mktemp("wheels")
    files = {
        "a_newer_python.py": "this is the syntax of a Python to come\n",
        "tiny_package.py": "ANSWER = 42\n",
        "tiny_package-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n",
        "tiny_package-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{_hash(text)},{len(text)}\n" for name, text in files.items())
    files["tiny_package-1.0.dist-info/RECORD"] = record + "tiny_package-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(folder / "tiny_package-1.0-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return folder


def _hash(text):
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def gateway():
    """The address under which a build reaches this machine."""
    command = ["docker", "network", "inspect", "bridge"]
    network = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    return network["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")


@pytest.fixture(scope="module")
def private_index(wheel, gateway, tmp_path_factory):
    """(address with a password, CA bundle) of an index that asks for the password."""
    folder = tmp_path_factory.mktemp("tls")
    _make_certificate(folder, gateway)
    simple = folder / "root" / "simple" / "tiny-package"
    simple.mkdir(parents=True)
    name = "tiny_package-1.0-py3-none-any.whl"
    (simple / name).write_bytes((wheel / name).read_bytes())
    (simple / "index.html").write_text(f'<a href="{name}">{name}</a>')

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            expected = "Basic " + base64.b64encode(b"user:s3cr3t-password").decode()
            if self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic realm=index")
                self.end_headers()
                return
            super().do_GET()

        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=folder / "root")
    try:
        server = http.server.ThreadingHTTPServer((gateway, 0), handler)
    except OSError:
        pytest.skip("the engine's bridge is not on this machine")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://user:s3cr3t-password@{gateway}:{server.server_port}/simple", folder / "ca.pem"
    server.shutdown()


def _make_certificate(folder, address):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True)

    (folder / "names").write_text(f"subjectAltName=IP:{address}\nbasicConstraints=CA:FALSE\n")
    new_key = ("-newkey", "rsa:2048", "-nodes")
    ca = ("-x509", "-days", "2", "-subj", "/CN=Company Proxy CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *new_key, *ca)
    openssl("req", *new_key, "-subj", f"/CN={address}", "-keyout", "server.key", "-out", "server.csr")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")


@pytest.fixture
def build(tmp_path):
    """Build the tiny Dockerfile with the given surroundings; the image is removed afterwards."""

    def run(**surroundings):
        (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(nonce=uuid.uuid4()))
        base = images.find("base-slim")
        target = bake._target(tmp_path, base.variant.platform, Surroundings(**surroundings))
        target["contexts"] |= {
            "base": f"docker-image://{base.reference}",
            "shared": str(CONTAINERS / "shared"),
        }
        target |= {"tags": [REFERENCE], "output": ["type=docker"]}
        buildx.bake({"target": {"tiny": target}}, ["tiny"])
        return REFERENCE

    yield run
    subprocess.run(["docker", "rmi", "--force", REFERENCE], capture_output=True, check=False)


def in_image(reference, *command):
    result = subprocess.run(
        ["docker", "run", "--rm", reference, *command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def saved_bytes(reference):
    """The whole image: configuration, history and every layer, deleted files included."""
    saved = subprocess.run(["docker", "save", reference], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        members = [archive.extractfile(member).read() for member in archive if member.isfile()]
    return b"".join(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data for data in members)


def test_a_private_index_behind_a_private_ca_is_reached_and_leaves_nothing(build, private_index, monkeypatch):
    address, ca_bundle = private_index
    monkeypatch.setenv("PIP_INDEX_URL", address)
    reference = build(ca_bundle=ca_bundle, index_variable="PIP_INDEX_URL")
    assert in_image(reference, "python", "-c", "import tiny_package; print(tiny_package.ANSWER)") == "42"
    content = saved_bytes(reference)
    certificate = ca_bundle.read_bytes().splitlines()[1]
    assert b"s3cr3t-password" not in content
    assert certificate not in content


def test_without_the_ca_bundle_the_private_index_is_not_trusted(build, private_index, monkeypatch, capfd):
    monkeypatch.setenv("PIP_INDEX_URL", private_index[0])
    with pytest.raises(ToolkitError, match="the build of tiny failed"):
        build(index_variable="PIP_INDEX_URL")
    assert "CERTIFICATE_VERIFY_FAILED" in capfd.readouterr().err


def test_a_wheelhouse_alone_is_enough_and_is_not_copied(build, wheel):
    reference = build(wheelhouse=wheel, arguments={"PIP_NO_INDEX": "1"})
    assert in_image(reference, "python", "-c", "import tiny_package; print(tiny_package.ANSWER)") == "42"
    assert in_image(reference, "sh", "-c", "find / -xdev -name '*.whl' -not -path '*/python-wheels/*'") == ""


def test_byte_code_is_there_and_carries_no_time(build, wheel, capfd):
    """Also where the package has a file for a newer Python, of which nothing is said."""
    reference = build(wheelhouse=wheel, arguments={"PIP_NO_INDEX": "1"})
    probe = (
        "import importlib.util, tiny_package;"
        "path = importlib.util.cache_from_source(tiny_package.__file__);"
        "print(int.from_bytes(open(path, 'rb').read()[4:8], 'little'))"
    )
    hash_based_and_unchecked = "1"  # PEP 552
    assert in_image(reference, "python", "-c", probe) == hash_based_and_unchecked
    assert "SyntaxError" not in capfd.readouterr().err
