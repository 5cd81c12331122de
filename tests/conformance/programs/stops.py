"""Waits for SIGTERM in two processes; each says so, and the exit code is its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

if len(sys.argv) > 1 and sys.argv[1] == "child":
    signal.signal(signal.SIGTERM, lambda *_: (print("child was told", flush=True), os._exit(0)))
    print("child waits", flush=True)
    time.sleep(100)
child = subprocess.Popen([sys.executable, __file__, "child"], stdout=subprocess.PIPE, text=True)


def stop(*_: object) -> None:
    Path("/opt/ml/model/state").write_text(child.communicate()[0])
    sys.exit(5)


signal.signal(signal.SIGTERM, stop)
assert child.stdout
child.stdout.readline()
print("waiting", flush=True)
time.sleep(100)
