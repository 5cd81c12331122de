"""A job's log: each line with time and host as it comes, a stream a host, and the metrics found in it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

OnLine = Callable[[str], None]

# `validation-rmse:54.1;` and `validation:rmse=54.1;` (TRAIN-111)
_METRIC = re.compile(
    r"(?<![\w.:/@-])(?P<name>[A-Za-z_][\w.:/@-]*?)\s*[:=]\s*(?P<value>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?);"
)

_STAMP = re.compile(r"\A\d\d:\d\d:\d\d \S+ +")


class Metrics:
    """The last value of each metric in the lines seen so far (TRAIN-110, TRAIN-111).

    Args:
        definitions: name -> regular expression whose first group is the value; what a job that defines
            metrics says. Beside them every `name:value;` and `name=value;` counts.
    """

    def __init__(self, definitions: Mapping[str, str]) -> None:
        self._definitions = {name: re.compile(expression) for name, expression in definitions.items()}
        self.values: dict[str, float] = {}

    def see(self, line: str) -> None:
        """Take the metrics of one line; a value that is no finite number does not count."""
        for match in _METRIC.finditer(line):
            if match["name"] not in self._definitions:
                self._take(match["name"], float(match["value"]))
        for name, expression in self._definitions.items():
            for match in expression.finditer(line):
                with suppress(TypeError, ValueError):
                    self._take(name, float(match[1]))

    def _take(self, name: str, value: float) -> None:
        if math.isfinite(value):  # CloudWatch takes no other
            self.values[name] = value


def find_metrics(lines: Iterable[str], definitions: Mapping[str, str] | None = None) -> dict[str, float]:
    """The last value of each metric in `lines`; see `Metrics`."""
    metrics = Metrics(definitions or {})
    for line in lines:
        metrics.see(line)
    return metrics.values


def stamped(host: str, line: str) -> str:
    """The line as it is shown and kept: local time, host, text."""
    return f"{datetime.now().astimezone():%H:%M:%S} {host}  {line}"


def unstamped(line: str) -> str:
    """The line as the container wrote it, which is what the platform searches for metrics."""
    return _STAMP.sub("", line)


class JobLog:
    """`log.txt` with the lines of all hosts, and in `logs/` a stream a host, as CloudWatch has them.

    A stream is named `<host>-<time>`, the start in seconds since 1970, and holds the bare lines
    (TRAIN-78); a host that is started again gets another one.

    Args:
        directory: the job's.
        hosts: their names.
        definitions: of metrics.
        on_line: receives each line with time and host.
    """

    def __init__(
        self, directory: Path, hosts: Iterable[str], definitions: Mapping[str, str], on_line: OnLine
    ) -> None:
        self.path = directory / "log.txt"
        self._directory, self._hosts = directory / "logs", list(hosts)
        self._width = max(map(len, self._hosts))
        self._metrics = Metrics(definitions)
        self._on_line = on_line
        self._files = ExitStack()
        self._streams: dict[str, TextIO] = {}

    def __enter__(self) -> JobLog:
        self._log = self._files.enter_context(self.path.open("w", encoding="utf-8"))
        self._directory.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @property
    def metrics(self) -> Mapping[str, float]:
        """Name -> last value."""
        return self._metrics.values

    def open_streams(self) -> None:
        """The hosts are started: their streams begin."""
        for host in self._hosts:
            path = self._directory / f"{host}-{int(time.time())}"
            self._streams[host] = self._files.enter_context(path.open("a", encoding="utf-8"))

    def keep(self, host: str, line: str) -> None:
        """One line of a host: into both files at once, into the metrics, and to the caller."""
        self._metrics.see(line)
        shown = stamped(host.ljust(self._width), line)
        for file, text in ((self._log, shown), (self._streams[host], line)):
            file.write(text + "\n")
            file.flush()
        self._on_line(shown)

    def say(self, text: str) -> None:
        """A word of the toolkit itself to the caller."""
        self._on_line(text)
