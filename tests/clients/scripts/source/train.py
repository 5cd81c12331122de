"""A training script for every SDK: its model is what it saw. `--explode` makes it fail."""

import json
import os
import socket
import sys
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
        "environment": {name: value for name, value in os.environ.items() if name.startswith(("SM_", "AWS_"))},
        "interfaces": os.listdir("/sys/class/net"),
        "channels": channels,
        "addresses": {name: socket.gethostbyname(name) for name in hosts},
        "shared_memory": memory.f_blocks * memory.f_frsize,
        "directory": os.getcwd(),
    }
    try:
        import a_requirement

        seen["requirement"] = a_requirement.VALUE
    except ImportError:
        pass
    Path(os.environ["SM_MODEL_DIR"], f"seen-{host}.json").write_text(json.dumps(seen))
    print(f"score={len(channels)};")


if __name__ == "__main__":
    main()
