"""Writes down what it is told, and prints a metric without flushing."""

import json
import os
import sys
from pathlib import Path

facts = {
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "directory": str(Path.cwd()),
    "name": __name__,
    "interpreter": sys.executable,
    "files": sorted(path.name for path in Path().iterdir()),
}
output = Path("/opt/ml/output/data")
output.mkdir(parents=True, exist_ok=True)
(output / "facts.json").write_text(json.dumps(facts))
print("validation-loss=0.5;")
