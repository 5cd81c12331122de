"""A build in CodeBuild on the terminal: its log, its phases, its images."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict

from toolkit.aws.session import Session
from toolkit.codebuild import project, remote_build
from toolkit.codebuild.build_watch import Outcome
from toolkit.codebuild.buildspec import URIS_VARIABLE
from toolkit.codebuild.remote_build import Listener, Order

_LAST_LINES = 30


def run(order: Order, session: Session, *, with_log: bool, as_json: bool) -> int:
    """Run the build; the addresses of its images, or one JSON object, are all of standard output with JSON.

    Raises:
        WorkError: the build failed.
        ToolkitError: it could not begin.
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)

    def on_line(line: str) -> None:
        last.append(line)
        if with_log:
            print(line, file=sys.stderr if as_json else sys.stdout, flush=True)

    outcome = remote_build.run(order, session, Listener(on_line, _note))
    _note(outcome.table())
    if not with_log and outcome.status != "SUCCEEDED":
        _note("The last lines of the log:\n  " + "\n  ".join(last))
    if as_json:
        print(json.dumps(_describe(outcome), indent=2))
    outcome.check()
    if not as_json:
        print("\n".join(f"image_uri  {uri}" for uri in _uris(outcome)))
    return 0


def show(order: Order) -> int:
    """Print what would be asked of AWS and which files would be sent, as JSON."""
    definition = project.define(order.settings)
    shown = {
        "name": order.temporary or project.kept_name(definition),
        "project": definition,
        "buildspec": json.loads(order.buildspec),
        "files": list(order.names),
    }
    print(json.dumps(shown, indent=2))
    return 0


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _uris(outcome: Outcome) -> Sequence[str]:
    return outcome.variables.get(URIS_VARIABLE, "").split()


def _describe(outcome: Outcome) -> dict[str, object]:
    return {**asdict(outcome), "seconds": outcome.seconds, "image_uris": _uris(outcome)}
