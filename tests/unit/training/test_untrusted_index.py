"""requirements.txt behind a proxy whose certificate the container does not know: a TLS server on loopback."""

from __future__ import annotations

import ssl
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.unit.training.script_job import ScriptJob


@pytest.fixture
def address(tmp_path: Path):
    """Of a server with a certificate that it has signed itself."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()


@pytest.mark.contract("TT-16")
def test_a_certificate_that_pip_does_not_trust_is_the_reason_and_not_a_missing_package(
    tmp_path: Path, address: str
) -> None:
    job = ScriptJob(tmp_path)
    (job.base / "code" / "requirements.txt").write_text("no-such-package\n")
    code, output, errors = job.run(
        "print('never')",
        PIP_CONFIG_FILE="/dev/null",
        PIP_INDEX_URL=address,
        PIP_RETRIES="1",  # its warning is what standard error tells of it
        PIP_FIND_LINKS="",
        NO_PROXY="127.0.0.1",
    )
    assert code == 1, output + errors
    assert job.reason.startswith("InstallRequirementsError: requirements.txt cannot be installed")
    assert "does not trust the index's certificate" in job.reason
    assert "PIP_CERT" in job.reason
