#!/usr/bin/env python3
"""Build, train, serve and verify SageMaker containers. `./build.py --help` says how."""

import sys

from toolkit.bootstrap import enter_environment

if __name__ == "__main__":
    try:
        enter_environment()
        from toolkit.cli import main

        sys.exit(main())
    except KeyboardInterrupt:  # before the command has begun
        sys.exit(130)
