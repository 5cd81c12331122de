"""The log of a build from CloudWatch Logs, every line exactly once, while it grows.

GetLogEvents is read page by page with its own token. A page may be empty although more follow; only a token
that comes back unchanged ends a reading. Three things are not in the token: that the log stream is not there
yet, that the token is too old (it lives 24 hours), and lines that arrive late and belong before those that
were read. For them a reading begins at the head again, and shows of each event only what is new: an event is
its two times and its text, and equal ones are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from toolkit.aws.errors import explained

_Event = tuple[int, int, str]


class LogTail:
    """Shows the lines of one log stream.

    Args:
        logs: a boto3 client of CloudWatch Logs.
        on_line: gets each line, without its line end.
    """

    def __init__(self, logs: Any, on_line: Callable[[str], None]) -> None:
        self._logs = logs
        self._on_line = on_line
        self._place: dict[str, str] | None = None
        self._token: str | None = None
        self._shown: Counter[_Event] = Counter()
        self._read_since_head: Counter[_Event] = Counter()

    @property
    def has_place(self) -> bool:
        """True as soon as the build has said where its log is."""
        return self._place is not None

    def follow(self, group: str | None, stream: str | None) -> None:
        """Take the place of the log; a build that still waits for a machine has none (CB-07)."""
        if self._place is None and group and stream:
            self._place = {"logGroupName": group, "logStreamName": stream}

    def read(self) -> int:
        """Show all lines that have come since; returns how many.

        Raises:
            ToolkitError: the log may not be read.
        """
        count = 0
        while (page := self._fetch()) is not None:
            count += sum(self._show(event) for event in page["events"])
            if page["nextForwardToken"] == self._token:
                break
            self._token = page["nextForwardToken"]
        return count

    def read_again(self) -> int:
        """Go through the whole log again, and show the lines that came late; returns how many."""
        self._begin_at_head()
        return self.read()

    def _begin_at_head(self) -> None:
        self._token = None
        self._read_since_head.clear()

    def _fetch(self) -> Mapping[str, Any] | None:
        """One page, or None where there is no log yet."""
        if self._place is None:
            return None
        with explained(self._logs):
            try:
                return self._get(self._place, self._token)
            except self._logs.exceptions.ResourceNotFoundException:
                return None
            except self._logs.exceptions.InvalidParameterException:  # the token is too old
                self._begin_at_head()
                return self._get(self._place, None)

    def _get(self, place: Mapping[str, str], token: str | None) -> Mapping[str, Any]:
        more = {"nextToken": token} if token else {}
        page: Mapping[str, Any] = self._logs.get_log_events(**place, **more, startFromHead=True)
        return page

    def _show(self, event: Mapping[str, Any]) -> bool:
        key = (event["timestamp"], event["ingestionTime"], event["message"])
        self._read_since_head[key] += 1
        if self._read_since_head[key] <= self._shown[key]:
            return False
        self._shown[key] += 1
        self._on_line(event["message"].rstrip("\r\n"))
        return True
