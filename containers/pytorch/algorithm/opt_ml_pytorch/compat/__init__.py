"""What TorchServe handlers import of TorchServe, whose project has ended, for images that do not have it.

`ts.torch_handler.base_handler`, `ts.handler_utils.timer`, `ts.utils.util` and `ts.context`, with their names
and results. The directory is put at the end of `sys.path`, so that the real package comes first where an
image has it.
"""

from __future__ import annotations

import sys
from pathlib import Path


def offer() -> None:
    """Let `import ts` find something."""
    directory = str(Path(__file__).parent)
    if directory not in sys.path:
        sys.path.append(directory)
