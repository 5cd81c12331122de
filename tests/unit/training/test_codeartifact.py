"""requirements.txt from a CodeArtifact repository: the service and its index as a server on loopback."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.unit.training.script_job import ScriptJob

ARN = "arn:aws:codeartifact:eu-west-1:123456789012:repository/my-domain/my-repository"
NAME = "only_in_the_repository-1.0-py3-none-any.whl"


def wheel():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("only_in_the_repository.py", "")
        information = "only_in_the_repository-1.0.dist-info"
        archive.writestr(
            f"{information}/METADATA", "Metadata-Version: 2.1\nName: only-in-the-repository\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{information}/RECORD", "")
    return buffer.getvalue()


class Service(BaseHTTPRequestHandler):
    """CodeArtifact's two calls, and the index, which wants the token that the first one gave."""

    def do_POST(self):
        self.server.asked.append(self.path)
        if self.path.startswith("/v1/authorization-token"):
            self.answer(json.dumps({"authorizationToken": "the-token"}).encode())

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path.startswith("/v1/repository/endpoint"):
            address = f"http://127.0.0.1:{self.server.server_port}/pypi/my-repository/"
            self.answer(json.dumps({"repositoryEndpoint": address}).encode())
        elif self.headers["Authorization"] != "Basic " + base64.b64encode(b"aws:the-token").decode():
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/pypi/my-repository/simple/only-in-the-repository/":
            self.answer(f'<a href="/files/{NAME}">{NAME}</a>'.encode(), "text/html")
        else:
            self.answer(wheel(), "application/octet-stream")

    def answer(self, body, content_type="application/json"):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """The test's output is for its findings."""


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def job(tmp_path):
    return ScriptJob(tmp_path)


def run(job, service, arn, target):
    (job.base / "code" / "requirements.txt").write_text("only-in-the-repository==1.0\n")
    return job.run(
        f"import sys; sys.path.insert(0, {target!r}); import only_in_the_repository",
        CA_REPOSITORY_ARN=arn,
        AWS_ENDPOINT_URL_CODEARTIFACT=f"http://127.0.0.1:{service.server_port}",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        NO_PROXY="127.0.0.1",
        PIP_TARGET=target,  # this test's own Python stays as it is
        PIP_FIND_LINKS="",
        PIP_NO_INPUT="1",
    )


@pytest.mark.contract("TT-15", "TT-14")
def test_requirements_come_from_the_repository_by_its_token(job, service, tmp_path):
    code, output, errors = run(job, service, ARN, str(tmp_path / "installed"))
    assert code == 0, (output + errors).decode()
    token, endpoint, *rest = service.asked
    assert "domain=my-domain" in token
    assert "domain-owner=123456789012" in token
    assert "repository=my-repository" in endpoint
    assert any(path.endswith(NAME) for path in rest)
    assert b"the-token" not in output + errors


@pytest.mark.contract("TT-15")
def test_a_name_that_is_no_repository_is_refused(job, service, tmp_path):
    code, _, _ = run(job, service, "my-repository", str(tmp_path))
    assert code == 1
    assert "CA_REPOSITORY_ARN 'my-repository'" in job.reason
    assert service.asked == []
