"""What a build needs to reach its packages: a proxy, a company's CA bundle, a folder of wheels or of weights.

All come from the variables that people behind a proxy have set already, and are handed to BuildKit
in ways that leave nothing in an image: proxies as predefined build arguments, the CA bundle as a secret,
the wheelhouse as a named context that is only bind-mounted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ToolkitError

# pip's own first; then what requests, curl and OpenSSL read.
CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CA_BUNDLE")
WHEELHOUSE_VARIABLE = "WHEELHOUSE"
WEIGHTS_VARIABLE = "PRETRAINED"
INDEX_VARIABLE = "PIP_INDEX_URL"  # a secret too: it often holds a password
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY", "ALL_PROXY")


@dataclass(frozen=True)
class CaBundle:
    """A file of trusted certificates, and the variable that named it."""

    path: Path
    variable: str


def find_ca_bundle(environment: Mapping[str, str] = os.environ) -> CaBundle | None:
    """The CA bundle that this machine's tools trust, or None where none is named.

    Raises:
        ToolkitError: a variable names a file that is not there.
    """
    for variable in CA_VARIABLES:
        value = environment.get(variable)
        if not value:
            continue
        path = Path(value).expanduser()
        if not path.is_file():
            raise ToolkitError(
                f"{variable} names {path}, which is not a file.",
                f"Set {variable} to the CA bundle, or unset it.",
            )
        return CaBundle(path.resolve(), variable)
    return None


def find_wheelhouse(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of wheels for builds without an index, or None.

    Named by WHEELHOUSE, or else by PIP_FIND_LINKS where that is one folder of this machine.

    Raises:
        ToolkitError: WHEELHOUSE names something that is not a folder.
    """
    value = environment.get(WHEELHOUSE_VARIABLE)
    if not value:
        links = environment.get("PIP_FIND_LINKS", "")
        return Path(links).resolve() if links and Path(links).is_dir() else None
    path = Path(value).expanduser()
    if not path.is_dir():
        raise ToolkitError(
            f"{WHEELHOUSE_VARIABLE} names {path}, which is not a folder.",
            f"Set {WHEELHOUSE_VARIABLE} to a folder of wheels (`pip download -d FOLDER ...`), or unset it.",
        )
    return path.resolve()


def find_weights(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of pretrained weights that PRETRAINED names, for images that bake them in, or None.

    Raises:
        ToolkitError: PRETRAINED names something that is not a folder.
    """
    value = environment.get(WEIGHTS_VARIABLE)
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.is_dir():
        raise ToolkitError(
            f"{WEIGHTS_VARIABLE} names {path}, which is not a folder.",
            f"Set {WEIGHTS_VARIABLE} to a folder of weights as a channel `pretrained` has them, or unset it.",
        )
    return path.resolve()


def find_proxies(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Proxy variables that are set, in either case; BuildKit keeps these out of the image's history."""
    names = [*PROXY_VARIABLES, *(name.lower() for name in PROXY_VARIABLES)]
    return {name: environment[name] for name in names if environment.get(name)}
