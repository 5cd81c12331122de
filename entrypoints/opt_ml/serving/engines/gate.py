"""Keeps multi-model-server or TorchServe from its port until the model is loaded (HOST-43).

The server starts the workers of each model that it is told to load and does not wait for them: left to
itself it opens its port at once, and says 200 to /ping for a model that is still loading, or never will. But
it tries all models before it opens the port. The last one that it is told of is an address here, which gives
no answer before the model is loaded, and then the answer that there is no such model.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

_NAME = "the-port-opens-when-the-model-is-loaded"  # it is in a line of the server's log
_REFUSAL = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Gate:
    """See the module; an asynchronous context manager."""

    def __init__(self) -> None:
        self._may_open = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen on loopback."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    @property
    def model(self) -> str:
        """What the server is told to load last, as `NAME=ADDRESS`."""
        return f"gate={self.address}"

    @property
    def address(self) -> str:
        """Where the answer is given, a URL on loopback."""
        assert self._server is not None  # noqa: S101 - it is asked for within the context
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/{_NAME}"

    def open(self) -> None:
        """Let the server go on; nothing listens here from then on."""
        self._may_open.set()
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await self._may_open.wait()
            writer.write(_REFUSAL)
            await writer.drain()
        writer.close()
