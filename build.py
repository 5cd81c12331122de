#!/usr/bin/env python3
"""Build, train, serve and verify SageMaker containers. `./build.py --help` says how."""

import signal
import sys

from toolkit.bootstrap import enter_environment

if __name__ == "__main__":
    try:
        enter_environment()
        from toolkit.cli import main

        exit_code = main()
    except KeyboardInterrupt:  # before the command has begun
        exit_code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to be broken off
    sys.exit(exit_code)
