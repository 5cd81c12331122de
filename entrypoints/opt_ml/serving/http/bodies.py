"""Request bodies in the front's memory: how much all of them may take, and one while it arrives."""

from __future__ import annotations

from collections.abc import Iterator

from opt_ml.serving.http.spool import SPOOL_BYTES

_LARGE = 1 << 18  # bytes; smaller bodies are not counted: the limits of connections and queues bound them
_MOST_PARTS = 256  # of a body, which are put together then: a chunk of two bytes takes forty here


class BodyMemory:
    """What large bodies may take together; one that does not fit goes to disk.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> bool:
        """Reserve `size` bytes; False where so many are not left."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Free what was reserved."""
        self._left += size


class Body:
    """One body, as far as it has arrived.

    Args:
        memory: of all bodies.
    """

    __slots__ = ("_begun", "_memory", "_parts", "_reserved")

    def __init__(self, memory: BodyMemory) -> None:
        self._memory = memory
        self._begun = bytearray()  # what comes before the parts
        self._parts: list[bytes] = []
        self._reserved = 0

    def fits(self, size: int) -> bool:
        """Reserve memory for `size` bytes in all; False where it has to go to disk."""
        if size <= _LARGE or size <= self._reserved:
            return True
        if size > SPOOL_BYTES or not self._memory.take(size - self._reserved):
            return False
        self._reserved = size
        return True

    def add(self, part: bytes) -> None:
        """Append what has arrived."""
        self._parts.append(part)
        if len(self._parts) == _MOST_PARTS:
            self._begun += b"".join(self._parts)
            self._parts = []

    def take(self) -> bytes:
        """All of it, which is forgotten here. What is reserved stays so, until `close`."""
        is_one = len(self._parts) == 1 and not self._begun
        body = self._parts[0] if is_one else b"".join((self._begun, *self._parts))
        self._begun, self._parts = bytearray(), []
        return body

    def take_parts(self) -> Iterator[bytes | bytearray]:
        """The same piece by piece, each forgotten at once, so that nothing is held twice."""
        begun, self._begun = self._begun, bytearray()
        yield begun
        while self._parts:
            yield self._parts.pop(0)

    def close(self) -> None:
        """Free what is reserved."""
        self._memory.give_back(self._reserved)
        self._reserved = 0
