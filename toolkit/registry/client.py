"""A registry by its HTTP API V2: blobs and manifests of repositories."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

from toolkit.errors import WorkError
from toolkit.registry.acceptance import ANY_MANIFEST
from toolkit.registry.compression import Blob
from toolkit.registry.credentials import Login
from toolkit.registry.transport import ATTEMPTS, Cut, Transport

_BINARY = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Manifest:
    """What a registry has under a tag or digest.

    Attributes:
        media_type: of the answer's Content-Type.
        digest: `sha256:...` of the body.
        body: as it came.
    """

    media_type: str
    digest: str
    body: bytes


class Registry:
    """One registry; threads may share it.

    Args:
        host: see `Transport`.
        login: see `Transport`.
    """

    def __init__(self, host: str, login: Login) -> None:
        self._transport = Transport(host, login)
        self.host = self._transport.host

    def get_manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest under a tag or digest, of whatever type it is; None where there is none.

        Raises:
            ToolkitError: the registry refuses, or was not reached.
        """
        response = self._transport.send(
            "GET",
            f"/v2/{repository}/manifests/{reference}",
            f"repository:{repository}:pull",
            headers={"Accept": ANY_MANIFEST},
        )
        if response.status_code == 404:
            return None
        digest = f"sha256:{hashlib.sha256(response.content).hexdigest()}"
        return Manifest(response.headers.get("Content-Type", ""), digest, response.content)

    def put_manifest(self, repository: str, reference: str, media_type: str, body: bytes) -> None:
        """Give a manifest a tag.

        Raises:
            ToolkitError: the registry refuses, or was not reached.
        """
        response = self._transport.send(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            _push_scope(repository),
            headers={"Content-Type": media_type},
            data=body,
        )
        self._check_found(response.status_code, repository)

    def get_blob(self, repository: str, digest: str) -> bytes | None:
        """A small blob, such as a configuration; None where there is none.

        Raises:
            ToolkitError: the registry refuses, or was not reached.
        """
        path, scope = f"/v2/{repository}/blobs/{digest}", f"repository:{repository}:pull"
        response = self._transport.send("GET", path, scope)
        return None if response.status_code == 404 else response.content

    def has_blob(self, repository: str, digest: str) -> bool:
        """True where the repository has a blob.

        Raises:
            ToolkitError: the registry refuses, or was not reached.
        """
        path = f"/v2/{repository}/blobs/{digest}"
        scope = f"repository:{repository}:pull"
        return self._transport.send("HEAD", path, scope, allow_redirects=True).status_code == 200

    def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Take a blob over from another repository of the registry; False where it does not do so.

        Raises:
            ToolkitError: the registry refuses, or was not reached.
        """
        response = self._transport.send(
            "POST",
            f"/v2/{repository}/blobs/uploads/",
            _push_scope(repository),
            params={"mount": digest, "from": source},
        )
        self._check_found(response.status_code, repository)
        return response.status_code == 201

    def upload_blob(self, repository: str, blob: Blob, opened: Callable[[], IO[bytes]]) -> None:
        """Send a blob from a file, from its beginning again where the connection breaks.

        One PATCH carries all of it: of a second one ECR keeps nothing (aws/containers-roadmap#2831).

        Args:
            repository: to which.
            blob: what will be sent.
            opened: opens it; called for each attempt.

        Raises:
            ToolkitError: the registry refuses, or was not reached.
        """
        for attempt in range(ATTEMPTS):
            try:
                with opened() as body:
                    return self._upload_once(repository, blob, body)
            except Cut as cut:
                if attempt + 1 == ATTEMPTS:
                    doing = f"{blob.size / 1e6:.1f} MB were sent"
                    raise self._transport.gave_up(cut, doing) from None
                self._transport.wait(attempt)
        return None

    def _upload_once(self, repository: str, blob: Blob, body: IO[bytes]) -> None:
        scope = _push_scope(repository)
        begun = self._transport.send_once("POST", f"/v2/{repository}/blobs/uploads/", scope)
        self._check_found(begun.status_code, repository)
        headers = {**_BINARY, "Content-Length": str(blob.size)}
        sent = self._transport.send_once(
            "PATCH", begun.headers["Location"], scope, data=body, headers=headers
        )
        if sent.status_code == 404:
            raise Cut("the upload was forgotten")
        ended = self._transport.send_once(
            "PUT", sent.headers["Location"], scope, params={"digest": blob.digest}, headers=_BINARY
        )
        if ended.status_code == 404:
            raise Cut("the upload was forgotten")

    def _check_found(self, status: int, repository: str) -> None:
        if status == 404:
            raise WorkError(
                f"{self.host} has no repository {repository}.",
                "Create it there, or name another with --repository.",
            )


def _push_scope(repository: str) -> str:
    return f"repository:{repository}:pull,push"
