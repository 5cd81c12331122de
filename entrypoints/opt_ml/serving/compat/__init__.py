"""What inference.py files import of AWS's discontinued packages, for images that do not have these.

`sagemaker_inference`, `sagemaker_huggingface_inference_toolkit` and `sagemaker_containers.beta.framework`:
the functions, constants and errors that published handlers use, with their names and results (NPY without
pickles). The directory is put at the end of `sys.path`, so that the real packages come first where an image
has them.
"""

from __future__ import annotations

import sys
from pathlib import Path


def offer() -> None:
    """Let `import sagemaker_inference` and its like find something."""
    directory = str(Path(__file__).parent)
    if directory not in sys.path:
        sys.path.append(directory)
