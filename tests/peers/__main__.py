"""`python -m tests.peers [NAME ...]`: the serving stacks of others, and our images, through the whole suite.

Builds the image of each peer, which is a folder here, on the small base; runs `build.py verify` on it with
the profile of its folder; and keeps what came of it in results/NAME.json, of which `./build.py generate`
makes docs/peers.md. A name of ours, such as ensemble-cpu, is built and verified in the same way.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.differential.toolkit_image import build_on
from toolkit.building.images import ROOT, local_reference, matrix
from toolkit.namespace import LOCAL_NAMESPACE
from toolkit.verify.peers_page import RESULTS, shortened

HERE = Path(__file__).parent
PEERS: Mapping[str, Mapping[str, Any]] = tomllib.loads((HERE / "peers.toml").read_text(encoding="utf-8"))
BASE = "base-slim"
VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


def build(name: str) -> str:
    """Build a peer, or an image of ours; its local reference."""
    if name in matrix():
        subprocess.run([sys.executable, "build.py", "build", name], cwd=ROOT, check=True)
        return local_reference(name)
    contexts = {key: str(ROOT / path) for key, path in PEERS[name].get("contexts", {}).items()}
    return build_on(BASE, HERE / name, f"{LOCAL_NAMESPACE}/peer-{name}:latest", contexts=contexts)


def verify(name: str, reference: str) -> dict[str, Any]:
    """What `build.py verify --json` says of an image."""
    profile = HERE / name / f"{name}.toml"
    command = [sys.executable, "build.py", "verify", name if name in matrix() else reference, "--json"]
    command += ["--profile", str(profile)] if profile.exists() else []
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{name}: the tests could not be run.")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def versions(name: str, reference: str) -> dict[str, str]:
    """Package -> version, of those that peers.toml names."""
    packages = PEERS[name]["packages"] if name in PEERS else []
    command = ["docker", "run", "--rm", "--entrypoint", "python3", reference, "-c", VERSIONS, *packages]
    found: dict[str, str] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def main() -> None:
    """All that is asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of {', '.join(PEERS)}, or images of ours"
    )
    names = parser.parse_args().names or list(PEERS)
    if unknown := [name for name in names if name not in PEERS and name not in matrix()]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(PEERS)} and our images")
    if not matrix().keys() >= set(names):
        build(BASE)
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        reference = build(name)
        document = {"versions": versions(name, reference), **shortened(verify(name, reference))}
        text = json.dumps(document, indent=1, ensure_ascii=False)
        (RESULTS / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
        print(f"Wrote {(RESULTS / name).relative_to(ROOT)}.json")


if __name__ == "__main__":
    main()
