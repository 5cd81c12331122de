"""Requests to one registry: who asks, how often it is tried, and what a refusal means."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from toolkit.errors import ToolkitError, WorkError
from toolkit.machine.network import find_ca_bundle
from toolkit.registry.credentials import Credentials, Login

ATTEMPTS = 5
FIRST_WAIT = 0.5  # seconds; doubled after each attempt
# Seconds: to connect (a part of a body that nobody takes counts too), and until an answer begins: ECR looks
# the whole of a large layer before.
_TIMEOUT = (30, 300)
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
_NETWORK_ERRORS = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class Cut(Exception):  # noqa: N818 - it is not shown to people
    """The network or the registry failed in a way that may be over soon."""


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Nobody(AuthBase):
    """No credentials; requests would take some from ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Transport:
    """A connection to a registry; threads may share it.

    Args:
        host: with a port where it has one; `http://` or `https://` before it where the usual one is wrong.
        login: asked when it is needed first, and again when the registry says that it has expired.
    """

    def __init__(self, host: str, login: Login) -> None:
        scheme, _, name = host.rpartition("://")
        self.host = name
        # As Docker: without TLS on this machine alone.
        self._base = f"{scheme or ('http' if _LOOPBACK.fullmatch(name) else 'https')}://{name}"
        self._login = login
        self._credentials: Credentials | None = None
        self._asked = False
        self._tokens: dict[str, str] = {}
        self._renewing = threading.Lock()
        self._session = requests.Session()
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=16)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        bundle = find_ca_bundle()
        self._verify = str(bundle.path) if bundle else True

    def send(self, method: str, path: str, scope: str, **options: Any) -> requests.Response:
        """One request that may be repeated, tried again while the network or the registry fails.

        Args:
            method: GET, HEAD, POST, PUT.
            path: below the registry, or a whole address that it gave.
            scope: `repository:NAME:pull,push`, for registries that hand out tokens.
            options: of `requests.request`.

        Raises:
            WorkError: it failed to the end.
            ToolkitError: the registry refuses.
        """
        for attempt in range(ATTEMPTS):
            try:
                return self.send_once(method, path, scope, **options)
            except Cut as cut:
                if attempt + 1 == ATTEMPTS:
                    raise self.gave_up(cut) from None
                self.wait(attempt)
        raise AssertionError("unreachable")

    def send_once(self, method: str, path: str, scope: str, **options: Any) -> requests.Response:
        """One request, tried once; authorized anew where the registry asks for it.

        Raises:
            Cut: the network or the registry failed.
            ToolkitError: the registry refuses.
        """
        used = self._logged_in(scope)
        response = self._request(method, path, scope, options)
        if response.status_code == 401 or _has_expired(response):
            body = options.get("data")
            if body is not None and hasattr(body, "seek"):
                body.seek(0)
            with self._renewing:
                # Layers go up side by side, and all hear of the end of one login: the first gets another.
                if self._logged_in(scope) == used:
                    self._renew(response, scope)
            response = self._request(method, path, scope, options)
        if response.status_code == 429 or response.status_code >= 500:
            raise Cut(f"{method} answered {response.status_code} {_words(response)}".strip())
        if response.status_code >= 400 and response.status_code != 404:
            raise self._refusal(response)
        return response

    def wait(self, attempt: int) -> None:
        """Wait before the next attempt; the first is 0."""
        time.sleep(FIRST_WAIT * 2**attempt)

    def gave_up(self, cut: Cut, doing: str = "") -> WorkError:
        """The error when the last attempt has failed."""
        during = f" while {doing}" if doing else ""
        return WorkError(
            f"the connection to {self.host} failed {ATTEMPTS} times{during}: {cut}",
            "Run the same command again when the network is back: what is there already is not sent again.",
        )

    def _request(self, method: str, path: str, scope: str, options: Mapping[str, Any]) -> requests.Response:
        try:
            return self._session.request(
                method,
                urljoin(self._base, path),
                auth=self._authorization(scope),
                verify=self._verify,
                timeout=_TIMEOUT,
                **options,
            )
        except requests.exceptions.SSLError as error:
            raise ToolkitError(
                f"the certificate of {self.host} is not trusted: {_reason(error)}",
                "Behind a proxy that intercepts TLS, set REQUESTS_CA_BUNDLE to the CA bundle.",
            ) from None
        except _NETWORK_ERRORS as error:
            raise Cut(_reason(error)) from None
        except requests.exceptions.RequestException as error:  # an address that is none, for one
            raise ToolkitError(f"{self.host}: {_reason(error)}", "Look at --registry.") from None

    def _authorization(self, scope: str) -> AuthBase:
        if scope in self._tokens:
            return _Bearer(self._tokens[scope])
        if not self._asked:
            self._asked = True
            self._credentials = self._login()
        if self._credentials is None:
            return _Nobody()
        return HTTPBasicAuth(self._credentials.username, self._credentials.password)

    def _logged_in(self, scope: str) -> tuple[Credentials | None, str | None]:
        """What requests are sent with."""
        self._authorization(scope)
        return self._credentials, self._tokens.get(scope)

    def _renew(self, response: requests.Response, scope: str) -> None:
        """Log in anew, or get the token that the registry asks for."""
        challenge = response.headers.get("WWW-Authenticate", "")
        if not challenge.lower().startswith("bearer"):
            self._credentials = self._login()
            return
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        self._tokens.pop(scope, None)
        try:
            answer = self._session.get(
                asked.get("realm", ""),
                params={"service": asked.get("service", ""), "scope": scope},
                auth=self._authorization(scope),
                verify=self._verify,
                timeout=_TIMEOUT,
            )
            body = answer.json()
        except (*_NETWORK_ERRORS, ValueError) as error:
            raise Cut(_reason(error)) from None
        if token := body.get("token") or body.get("access_token"):
            self._tokens[scope] = token

    def _refusal(self, response: requests.Response) -> ToolkitError:
        words = _words(response)
        if "immutable" in words:
            return ToolkitError(
                f"a tag cannot be overwritten: {words}", "Choose another with --tag, or build and push anew."
            )
        if response.status_code in (401, 403):
            return ToolkitError(
                f"{self.host} refuses: {words or response.reason}",
                f"docker login {self.host}; for ECR `./build.py iam` prints the policies that are needed.",
            )
        return WorkError(f"{self.host} refuses ({response.status_code}): {words or response.reason}")


def _has_expired(response: requests.Response) -> bool:
    """ECR says 403 DENIED, `Your authorization token has expired`."""
    return response.status_code in (400, 403) and "expired" in _words(response).lower()


def _words(response: requests.Response) -> str:
    """The messages of the registry's errors, on one line."""
    try:
        errors = response.json().get("errors") or []
        found = [f"{one.get('code', '')}: {one.get('message', '')}" for one in errors]
    except (ValueError, AttributeError):
        found = [response.text[:200]]
    return " ".join("; ".join(found).split())


def _reason(error: Exception) -> str:
    """The innermost cause, without the objects that wrap it."""
    inner: BaseException = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return " ".join(str(inner or error).split())
