"""`inside` runs in the image of test_differential.py, where the AWS toolkit is."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("sagemaker_training") is None:
    collect_ignore_glob = ["inside/*"]
