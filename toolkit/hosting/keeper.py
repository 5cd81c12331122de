"""Keeps an endpoint's containers running: starts them again when one ends, or when their code has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty

from toolkit.errors import ToolkitError
from toolkit.hosting.code_watch import CodeWatch
from toolkit.hosting.fleet import Exit, Fleet
from toolkit.serving.endpoint import EndpointError

PROBE_INTERVAL = 10.0  # seconds between two probes of a healthy endpoint; the platform's is not documented
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds before another start
MOST_FAILED_STARTS = 5  # one after another
RELOAD_GRACE = 2.0  # seconds for requests in flight when code has changed
_LOOK_INTERVAL = 0.3  # seconds between two looks at the code


class Keeper:
    """Runs in the main thread, until Ctrl-C.

    Args:
        fleet: that has been started.
        say: receives a line for people.
        watch: of the code that the containers see; None for none.
    """

    def __init__(self, fleet: Fleet, say: Callable[[str], None], watch: CodeWatch | None = None) -> None:
        self._fleet = fleet
        self._say = say
        self._watch = watch
        self._sick: dict[str, str] = {}
        self._is_up = True

    def run(self) -> None:
        """Keep the containers running.

        Raises:
            EndpointError: they did not come back after several starts.
        """
        probe_at = time.monotonic() + PROBE_INTERVAL
        while True:
            try:
                generation, end = self._fleet.exits.get(timeout=_LOOK_INTERVAL)
            except Empty:
                pass
            else:
                if generation == self._fleet.generation:
                    self._bring_back(end)
            if self._watch and (changed := self._settled(self._watch)):
                self._reload(changed)
            if time.monotonic() >= probe_at and self._is_up:
                self._probe()
                probe_at = time.monotonic() + PROBE_INTERVAL

    def _bring_back(self, end: Exit) -> None:
        """HOST-12: a container that ends is started again."""
        what = f"{end.hostname} {end.how}"
        self._say(f"The container {what}. SageMaker starts it again, and so does this:")
        pause = FIRST_PAUSE
        for attempt in range(1, MOST_FAILED_STARTS + 1):
            try:
                self._fleet.restart(what)
            except EndpointError as error:
                if attempt == MOST_FAILED_STARTS:
                    raise
                self._say(f"{error.message}\nNext try in {pause:.0f} s.")
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._say(f"Healthy again after {self._fleet.started_in:.1f} s.")
                return

    def _settled(self, watch: CodeWatch) -> list[str]:
        """What has changed, once nothing more does: an editor or git writes several files."""
        names: set[str] = set()
        while changed := watch.changed():
            names.update(changed)
            time.sleep(_LOOK_INTERVAL / 2)
        return sorted(names)

    def _reload(self, changed: list[str]) -> None:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        self._say(f"Changed: {shown}. Starting the server again.")
        try:
            self._fleet.restart("the new code is being loaded", RELOAD_GRACE, requests_wait=True)
        except EndpointError as error:
            self._is_up = False
            self._say(f"The new code does not load: {error.cause}\nThe next change starts it again.")
        except ToolkitError as error:  # the directory itself has gone, for now
            self._is_up = False
            self._say(f"{error.message}\nThe next change starts it again.")
        else:
            self._is_up = True
            self._say(f"Ready again after {self._fleet.started_in:.1f} s.")

    def _probe(self) -> None:
        """HOST-44: what is not healthy any more would be replaced."""
        wrong = self._fleet.ping()
        for hostname, what in wrong.items():
            if hostname not in self._sick:
                self._say(f"/ping of {hostname} gives: {what}. SageMaker would replace the instance.")
        for hostname in self._sick.keys() - wrong.keys():
            self._say(f"/ping of {hostname} gives 200 again.")
        self._sick = wrong
