"""A training script for every SDK: its model is what it saw. `--explode` makes it fail."""

import json
import os
import socket
import sys
import time
from pathlib import Path


def main():
    if "--explode" in sys.argv:
        raise ValueError("The learning rate must be above 0, but is -1.")
    host, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
    memory = os.statvfs("/dev/shm")
    channels = {
        name: sorted(path.name for path in Path("/opt/ml/input/data", name).iterdir())
        for name in json.loads(os.environ["SM_CHANNELS"])
    }
    seen = {
        "arguments": sys.argv[1:],
        "environment": {
            name: value for name, value in os.environ.items() if name.startswith(("SM_", "AWS_"))
        },
        "interfaces": [path.name for path in Path("/sys/class/net").iterdir()],
        "channels": channels,
        "addresses": {name: socket.gethostbyname(name) for name in hosts},
        "shared_memory": memory.f_blocks * memory.f_frsize,
        "directory": str(Path.cwd()),
    }
    try:
        import a_requirement

        seen["requirement"] = a_requirement.VALUE
    except ImportError:
        pass
    model_dir = Path(os.environ["SM_MODEL_DIR"])
    unfinished = model_dir / f"unfinished-{host}"
    unfinished.write_text(json.dumps(seen))
    unfinished.rename(model_dir / f"seen-{host}.json")
    # Local mode stops every host as soon as one has ended; all have one model directory (LOCAL-04).
    while len(list(model_dir.glob("seen-*.json"))) < len(hosts):
        time.sleep(0.1)
    print(f"score={len(channels)};")


if __name__ == "__main__":
    main()
