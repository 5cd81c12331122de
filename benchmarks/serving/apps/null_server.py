"""The limit that HTTP sets: a bare asyncio protocol that answers every request with the same 19 bytes.

Usage: null_server.py PORT PROCESSES
"""

from __future__ import annotations

import asyncio
import os
import sys

import httptools
import uvloop

_BODY = b"0.0000000000000000\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Null(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep where to write."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse; `on_message_complete` answers."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Answer."""
        self._transport.write(_ANSWER)


async def serve(port: int) -> None:
    """Until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Null, "0.0.0.0", port, reuse_port=True)
    await server.serve_forever()


if __name__ == "__main__":
    for _ in range(int(sys.argv[2]) - 1):
        if os.fork() == 0:
            break
    uvloop.run(serve(int(sys.argv[1])))
