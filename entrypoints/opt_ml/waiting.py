"""A wait that says what it is for, and ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from opt_ml.errors import UserError


class Waiting:
    """Called between two looks at whatever is waited for.

    Args:
        limit: seconds.
        said_after: seconds after which it says once what it waits for.
    """

    def __init__(self, limit: float, said_after: float = 10.0) -> None:
        self._limit = limit
        self._said_after = said_after
        self._started = time.monotonic()
        self._said = False

    def go_on(self, notice: Callable[[], str], failure: Callable[[float], str], pause: float) -> None:
        """Sleep for `pause` seconds.

        Args:
            notice: the line of the log.
            failure: the cause and the cure, from the seconds that have passed.
            pause: seconds.

        Raises:
            UserError: the limit is over.
        """
        waited = time.monotonic() - self._started
        if waited > self._limit:
            raise UserError(failure(waited))
        if waited > self._said_after and not self._said:
            self._said = True
            print(notice(), flush=True)
        time.sleep(pause)
