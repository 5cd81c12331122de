"""Target: any body with any Content-Type and Accept is an answer or a 4xx, asked of what `test_answers` asks.

An input is three parts with a line end between them: Content-Type, Accept (empty is a header that was not
sent), and the body. Sound Parquet is not among the seeds: a process of its own reads it, which coverage does
not see, and which dies of it often; `test_answers` tries it.
"""

from __future__ import annotations

import io
import random
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from opt_ml.serving.codecs import DECODABLE, ENCODABLE
from opt_ml.serving.codecs.images import FORMATS
from opt_ml.serving.invocation import Model, Request
from opt_ml.serving.media import PARQUET

from tests.fuzz.bodies import TOKENS
from tests.fuzz.handlers import ANY_VALUES, TABULAR, check, model
from tests.fuzz.seeds import SEEDS as BODIES

_KINDS = sorted({*DECODABLE, *FORMATS})
_ACCEPTS = ("", "*/*", *ENCODABLE)
SEEDS = [
    f"{kind}\n{_ACCEPTS[number % len(_ACCEPTS)]}\n".encode() + body
    for kind, bodies in BODIES.items()
    if kind not in PARQUET
    for number, body in enumerate(bodies)
]
SEEDS += [
    b'text/csv; charset="latin-1"; header=present\ntext/*;q=0.5, application/json\na,b,c,d\n1,2,3,\xe9\n',
    b"text/csv;label_size=1\n*/*;q=0\n9,1,2,3,4\n",
    b"\napplication/json; a=b\n[1, 2, 3, 4]",
    b"text/libsvm\ntext/csv\n1 0:1 3:2\n0 2:-1 # 9\n",
]
WORDS = [*(kind.encode() for kind in {*_KINDS, *ENCODABLE}), *TOKENS]
WORDS += [
    b"; charset=",
    b"; header=present",
    b"; label_size=",
    b";q=0.",
    b"utf-16",
    b"utf-7",
    b"latin-1",
    b"9" * 20,
    b"\n",
]

_NAMES = ("format.npy", "shape.npy", "data.npy", "row.npy", "col.npy", "indices.npy", "a.npy", "")


def _load() -> list[Model]:
    found = []
    for source in (ANY_VALUES, TABULAR):
        # What a handler is loaded from is not needed any more once it is.
        with tempfile.TemporaryDirectory() as directory:
            found.append(model(Path(directory), source))
    return found


_MODELS = _load()


def attempt(data: bytes) -> None:
    """Ask each handler once.

    Raises:
        AssertionError: an answer that is our fault.
    """
    request = _request(data)
    for one in _MODELS:
        check(one.run(one.answer(request)))


def mutate(data: bytes, size: int, seed: int, change: Callable[[bytes, int], bytes]) -> bytes:
    """A changed input.

    Of an npz file an array is changed, renamed or left out, and it is packed anew: else its checksums would
    refuse it.
    """
    start = len(data) - len(_request(data).body)
    choice = random.Random(seed)  # libFuzzer's own, so that a run can be repeated
    with suppress(Exception):  # it is no zip file any more
        if data.startswith(b"PK", start) and choice.random() < 0.7:
            with zipfile.ZipFile(io.BytesIO(data[start:])) as archive:
                members = {
                    one.filename: archive.read(one) for one in archive.infolist() if one.file_size < size
                }
            name = choice.choice(list(members))
            content = members.pop(name)
            match choice.randrange(6):
                case 0:
                    pass  # it is missing
                case 1:
                    members[choice.choice(_NAMES)] = content
                case _:
                    members[name] = change(content, size)
            return data[:start] + _packed(members, choice.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    return change(data, size)


def _request(data: bytes) -> Request:
    content_type, accept, body = [*data.split(b"\n", 2), b"", b""][:3]
    return Request(body, _header(content_type), _header(accept))


def _header(value: bytes) -> str | None:
    """As the server's parser gives it; it lets none of these through."""
    return value.translate(None, b"\r\n\0").strip(b" \t").decode("latin-1") or None


def _packed(members: dict[str, bytes], compression: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()
