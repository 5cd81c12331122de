"""Where this checkout's images have their names on this machine."""

from __future__ import annotations

import os

# Another one lets two checkouts build on one machine without overwriting each other's images.
LOCAL_NAMESPACE = os.environ.get("OPT_ML_NAMESPACE") or "opt-ml"
