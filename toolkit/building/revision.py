"""The commit that images are made from, and its time, which is their date (SOURCE_DATE_EPOCH)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.building.images import ROOT
from toolkit.errors import ToolkitError

COMMIT_VARIABLE = "OPT_ML_REVISION"
# https://reproducible-builds.org/specs/source-date-epoch/; BuildKit takes a build argument of that name.
EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True)
class Revision:
    """What a checkout was made of.

    Attributes:
        commit: hash of the commit; empty where nobody knows it.
        epoch: the images' date in seconds since 1970, as text; empty for the hour of the build.
    """

    commit: str = ""
    epoch: str = ""

    def as_variables(self) -> dict[str, str]:
        """The environment that tells it to a machine without the history."""
        variables = {COMMIT_VARIABLE: self.commit, EPOCH_VARIABLE: self.epoch}
        return {name: value for name, value in variables.items() if value}


def find_revision(environment: Mapping[str, str] = os.environ) -> Revision:
    """The commit of this checkout; where it has no history, what the environment says.

    SOURCE_DATE_EPOCH stands before the time of the commit.

    Raises:
        ToolkitError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%H %ct"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    commit, _, committed = found.strip().partition(" ")
    epoch = environment.get(EPOCH_VARIABLE) or committed
    if epoch and not (epoch.isascii() and epoch.isdigit()):
        raise ToolkitError(
            f"{EPOCH_VARIABLE} is {epoch!r}, and is to be seconds since 1970.",
            f"unset {EPOCH_VARIABLE}, for the time of the commit",
        )
    return Revision(commit or environment.get(COMMIT_VARIABLE, ""), epoch)
