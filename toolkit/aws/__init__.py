"""AWS from this machine: sessions and clients, what is where, and its errors in words that help.

Only this package imports boto3, which a command installs by `install` before it imports the modules.
"""

from __future__ import annotations

from toolkit.bootstrap import install_extra


def install() -> None:
    """Install boto3 into the running environment where it is missing."""
    install_extra("requirements/aws.txt", "boto3")
