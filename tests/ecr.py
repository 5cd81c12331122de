"""Amazon ECR on loopback: its API is moto's, its images lie in a real registry, and a door is before both.

moto keeps no layers, and names registries that are not here; a registry knows no logins of AWS and lets all
tags move. The door leads both together, with the errors that ECR gives, and cuts connections when told to.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from moto.server import ThreadedMotoServer

from tests.registry import registry

ACCOUNT = "123456789012"  # moto's
_HOST = re.compile(rf"(?:https://)?{ACCOUNT}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com")
_REGION = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/")
_PART = 1 << 16


@dataclass
class Ecr:
    """What a test sees of it.

    Attributes:
        endpoint: for AWS_ENDPOINT_URL.
        backend: `127.0.0.1:PORT` of the registry behind; its repositories are `REGION/NAME`.
        calls: of the API, such as `CreateRepository`, in order.
        uploads: bytes of the blobs that were sent, one for each PATCH.
        denied: calls that IAM does not allow.
        cuts: for each of the next uploads, after how many bytes it is cut.
        is_expired: the login that was handed out last is refused.
    """

    endpoint: str = ""
    backend: str = ""
    calls: list[str] = field(default_factory=list)
    uploads: list[int] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    cuts: list[int] = field(default_factory=list)
    is_expired: bool = False
    _hosts: dict[str, str] = field(default_factory=dict)
    _servers: list[ThreadingHTTPServer] = field(default_factory=list)
    _moto: str = ""

    def host(self, region: str) -> str:
        """`127.0.0.1:PORT` of the registry of a region."""
        if region not in self._hosts:
            self._hosts[region] = self.serve(type("Registry", (_Registry,), {"ecr": self, "region": region}))
        return self._hosts[region]

    def serve(self, handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self._servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def is_fixed(self, region: str, repository: str, tag: str) -> bool:
        """True where ECR would not let the tag move."""
        found = self.describe(region, repository)
        excluded = [one["filter"] for one in found.get("imageTagMutabilityExclusionFilters", [])]
        return found["imageTagMutability"].startswith("IMMUTABLE") and tag not in excluded

    def describe(self, region: str, repository: str) -> dict | None:
        """What moto knows of a repository."""
        import boto3

        client = boto3.client(
            "ecr",
            region_name=region,
            endpoint_url=self._moto,
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        try:
            return client.describe_repositories(repositoryNames=[repository])["repositories"][0]
        except client.exceptions.RepositoryNotFoundException:
            return None


@contextmanager
def ecr(directory: Path) -> Iterator[Ecr]:
    """An empty ECR of all regions."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    state = Ecr()
    try:
        with registry(directory) as backend:
            state.backend = backend
            state._moto = "http://{}:{}".format(*moto.get_host_and_port())
            reset_moto(state._moto)
            state.endpoint = "http://" + state.serve(type("Api", (_Api,), {"ecr": state}))
            yield state
            state.close()
    finally:
        moto.stop()


def reset_moto(address: str) -> None:
    """Take away what earlier tests have made: all of moto's servers in a process share one state."""
    moto = urlsplit(address)
    connection = http.client.HTTPConnection(moto.hostname or "", moto.port)
    connection.request("POST", "/moto-api/reset")
    connection.getresponse().read()
    connection.close()


class _Door(BaseHTTPRequestHandler):
    ecr: Ecr
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


class _Api(_Door):
    """The API of AWS: moto's answers, with registries that are here."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        call = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.ecr.calls.append(call)
        if call in self.ecr.denied:
            message = (
                f"User: arn:aws:iam::{ACCOUNT}:user/u is not authorized to perform: ecr:{call} on resource: *"
            )
            return self.answer(
                400, json.dumps({"__type": "AccessDeniedException", "message": message}).encode()
            )
        if call == "GetAuthorizationToken":
            self.ecr.is_expired = False
        moto = urlsplit(self.ecr._moto)
        connection = http.client.HTTPConnection(moto.hostname, moto.port)
        connection.request("POST", self.path, body, dict(self.headers))
        answer = connection.getresponse()
        text = answer.read().decode()
        text = _HOST.sub(lambda found: self.ecr.host(found[1]), text)
        kind = answer.headers["Content-Type"]
        return self.answer(answer.status, text.encode(), Content_Type=kind)


class _Registry(_Door):
    """The registry of one region, with the rules and the words of ECR."""

    region: str

    def do_GET(self) -> None:
        self._forward()

    do_HEAD = do_PUT = do_POST = do_PATCH = do_GET  # noqa: N815

    def _forward(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        refusal = self._refuse()
        if refusal:
            self.rfile.read(size)
            return self._error(*refusal)
        connection = http.client.HTTPConnection(self.ecr.backend)
        connection.putrequest(self.command, self._there(self.path), skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name != "Authorization":
                connection.putheader(name, value)
        connection.endheaders()
        if not self._send_body(connection, size):
            connection.close()
            self.close_connection = True
            return self.connection.close()
        answer = connection.getresponse()
        body = answer.read()
        kept = {"Content-Type", "Docker-Content-Digest", "Location"}
        headers = {name.replace("-", "_"): value for name, value in answer.headers.items() if name in kept}
        if "Location" in headers:
            headers["Location"] = self._here(headers["Location"])
        if self.command == "HEAD":
            headers["Content_Length"] = answer.headers.get("Content-Length", "0")
        status = 201 if self.command == "PATCH" else answer.status  # ECR says so, against the specification
        return self.answer(status, body, **headers)

    def _send_body(self, connection: http.client.HTTPConnection, size: int) -> bool:
        cut = self.ecr.cuts.pop(0) if self.command == "PATCH" and self.ecr.cuts else None
        left = size
        while left:
            if cut is not None and size - left >= cut:
                return False
            part = self.rfile.read(min(_PART, left))
            connection.send(part)
            left -= len(part)
        if self.command == "PATCH":
            self.ecr.uploads.append(size)
        return True

    def _refuse(self) -> tuple[int, str, str] | None:
        login = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
        if not login.startswith(b"AWS:"):
            return 401, "UNAUTHORIZED", "Not Authorized"
        if self.ecr.is_expired:
            return 403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."
        repository, kind, rest = self._parts()
        if self.ecr.describe(self.region, repository) is None:
            return 404, "NAME_UNKNOWN", f"The repository with name '{repository}' does not exist"
        if self.command == "PUT" and kind == "manifests" and self._is_taken(rest, repository):
            return (
                400,
                "TAG_INVALID",
                (
                    f"The image tag '{rest}' already exists in the '{repository}' repository and cannot "
                    "be overwritten because the repository is immutable."
                ),
            )
        return None

    def _is_taken(self, tag: str, repository: str) -> bool:
        if not self.ecr.is_fixed(self.region, repository, tag):
            return False
        connection = http.client.HTTPConnection(self.ecr.backend)
        connection.request("HEAD", self._there(self.path))
        return connection.getresponse().status == 200

    def _parts(self) -> tuple[str, str, str]:
        """`/v2/NAME/manifests/REST` to its three words."""
        path = urlsplit(self.path).path
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/(.*)", path)
        assert found, path
        return found[1], found[2], found[3]

    def _there(self, path: str) -> str:
        path = path.replace("/v2/", f"/v2/{self.region}/", 1)
        return re.sub(r"([?&]from=)", rf"\g<1>{self.region}%2F", path)

    def _here(self, location: str) -> str:
        there = urlsplit(location)
        path = there.path.replace(f"/v2/{self.region}/", "/v2/", 1)
        return f"http://{self.ecr.host(self.region)}{path}" + (f"?{there.query}" if there.query else "")

    def _error(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        headers = {"WWW_Authenticate": 'Basic realm="ECR"'} if status == 401 else {}
        self.answer(status, body, Content_Type="application/json", **headers)
