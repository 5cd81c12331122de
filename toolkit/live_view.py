"""What commands show while they work: drawn anew on a terminal, and told line by line elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live


class LiveView(AbstractContextManager["LiveView"]):
    """A part of the terminal that is drawn anew; nothing of it stays after the block.

    Args:
        stream: a terminal, or anything else, where only what is printed is seen.
        refreshes: a second, beside those that are asked for; 0 for none.
    """

    def __init__(self, stream: TextIO, refreshes: float = 0) -> None:
        # No markup: what is shown may hold square brackets.
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            auto_refresh=refreshes > 0,
            refresh_per_second=refreshes or 4,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()
