"""Makes an image of our own `train` and `serve`, for the rules of scripts, handlers and many models.

It is the tiny image with `opt_ml`, and with what that needs of this environment's packages.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration import tiny_image
from toolkit.building.images import ROOT
from toolkit.namespace import LOCAL_NAMESPACE

KIT = f"{LOCAL_NAMESPACE}/conformance-kit:latest"
PACKAGES = ("httptools", "numpy", "numpy.libs", "orjson", "uvloop", "websockets")
CAPABILITIES = ("multi-models", "bidirectional-streaming")
PROGRAM = """#!/usr/local/bin/python3
import sys
from opt_ml.{part}.main import main
sys.exit(main())
"""
# Python imports it at each start.
HOOK = """import os
if "FAULT" in os.environ:
    import faults
    faults.apply_to_kit(os.environ["FAULT"])
"""


@contextmanager
def kit() -> Iterator[str]:
    """The image, made of the tiny one, which must be there, and removed after the block."""
    library = Path(sysconfig.get_path("purelib"))
    place = sysconfig.get_path("stdlib")
    copies = {f"{place}/{name}": library / name for name in PACKAGES}
    copies[f"{place}/opt_ml"] = ROOT / "entrypoints" / "opt_ml"
    extensions = [path for name in PACKAGES for path in (library / name).rglob("*.so")]
    needed = set(tiny_image.libraries(extensions)) - set(tiny_image.libraries([Path(sys.executable)]))
    copies |= {str(path): path.resolve() for path in needed if library not in path.parents}
    texts = {
        "/usr/local/bin/train": (PROGRAM.format(part="training"), 0o755),
        "/usr/local/bin/serve": (PROGRAM.format(part="serving"), 0o755),
        f"{place}/sitecustomize.py": (HOOK, 0o644),
    }
    labels = [f"LABEL com.amazonaws.sagemaker.capabilities.{name}=true" for name in CAPABILITIES]
    with tiny_image.variant("kit", *labels, files=copies, texts=texts) as image:
        assert image == KIT
        yield image
