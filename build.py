#!/usr/bin/env python3
"""Build, train, serve and verify SageMaker containers. `./build.py --help` says how."""

import sys

from toolkit.bootstrap import enter_environment

if __name__ == "__main__":
    enter_environment()
    from toolkit.cli import main

    sys.exit(main())
