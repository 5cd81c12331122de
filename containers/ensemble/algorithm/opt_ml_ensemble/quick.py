"""The ensemble's quick path: small requests answered by its compiled form, without a framework.

The same functions as in `handler` read a request, fit it to the columns and write the answer, so that both
answer alike, errors included. Lines of plain numbers, the commonest request by far, are read together: one
JSON array of all bodies.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson
from opt_ml.errors import RequestError
from opt_ml.serving.answers import Answer, error_answer
from opt_ml.serving.codecs import DECODABLE, decode_table, encode_columns, media_type_of, parse_media_type
from opt_ml.serving.codecs.csv_text import PLAIN
from opt_ml.serving.media import CSV, JSON, JSON_LINES, NPY, OCTET_STREAM
from opt_ml.serving.quick import QuickRequest

from opt_ml_ensemble.compiled.loading import Compiled, Unusable, load_compiled
from opt_ml_ensemble.compiled.timing import most_within
from opt_ml_ensemble.description import read_description
from opt_ml_ensemble.outputs import answer_columns, choose_output, default_output
from opt_ml_ensemble.request import request_matrix
from opt_ml_ensemble.schema import Matrix, Schema, finite_float32

LONGEST = 0.002  # seconds of one call: so long the event loop answers nobody else
_WILDCARD = "*/*"
_LINE = PLAIN.replace(b"\n", b"")
# A few bytes of the others can stand for millions of fields, or have a process read them (Parquet).
_SLOW_TYPES = frozenset(DECODABLE) - {CSV, JSON, *JSON_LINES, NPY}
_MOST_FIELDS = 1 << 16


def load_quick(model_dir: Path) -> EnsembleQuick | None:
    """The quick path of a model; None where it has no compiled form that is equal and faster.

    Raises:
        UserError: no model there, or an ENSEMBLE_OUTPUT that it cannot give.
    """
    try:
        compiled = load_compiled(model_dir, has_trees=False)
    except Unusable as found:
        print(f"The compiled model is not used: {found}.", file=sys.stderr, flush=True)
        return None
    if compiled is None:
        return None
    most_rows = min(compiled.most_rows, most_within(compiled.timings, LONGEST))
    if not most_rows:
        print("The compiled model is not used: it is slower than the models.", file=sys.stderr, flush=True)
        return None
    description = read_description(model_dir)
    output = default_output(description.schema, description.output)
    return EnsembleQuick(description.schema, output, compiled, most_rows)


class EnsembleQuick:
    """See `opt_ml.serving.quick.Quick`.

    Args:
        schema: of the model.
        output: what an answer holds that nobody asked for otherwise.
        compiled: predicts.
        most_rows: of one call.
    """

    def __init__(self, schema: Schema, output: str, compiled: Compiled, most_rows: int) -> None:
        self.most_rows = most_rows
        self._schema = schema
        self._output = output
        self._compiled = compiled
        self._default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or _WILDCARD
        used = [place for place, feature in enumerate(schema.features) if feature.kind != "unused"]
        self._used = None if len(used) == len(schema.features) else used
        self._is_plain = not schema.categorical
        # A label that is written on several lines cannot be found again among the lines of an answer.
        self._has_lines = not any(
            isinstance(name, str) and set(name) & set("\r\n") for name in schema.classes
        )

    def answer(self, requests: Sequence[QuickRequest]) -> list[Answer | None]:
        """The answers, in the order of the requests; None for what a worker must do."""
        alike: dict[tuple[str | None, str | None], list[int]] = {}
        for number, request in enumerate(requests):
            alike.setdefault((request.content_type, request.accept), []).append(number)
        answers: list[Answer | None] = [None] * len(requests)
        for (content_type, accept), numbers in alike.items():
            bodies = [requests[number].body for number in numbers]
            found = self._answer_alike(bodies, content_type, accept)
            for number, answer in zip(numbers, found, strict=True):
                answers[number] = answer
        return answers

    def _answer_alike(
        self, bodies: Sequence[bytes], content_type: str | None, accept: str | None
    ) -> list[Answer | None]:
        """The answers to bodies that came with the same headers."""
        matrix = self._read_lines(bodies) if self._is_plain and _is_csv(content_type) else None
        read: list[Matrix | Answer | None]
        if matrix is None:
            read = [self._read(body, content_type) for body in bodies]
        else:
            read = list(matrix[:, None, :])
        matrices = [one for one in read if isinstance(one, np.ndarray)]
        if not matrices:
            return read  # type: ignore[return-value]
        if matrix is None:
            matrix = np.concatenate(matrices)
        predicted = self._write(matrix, [len(one) for one in matrices], accept)
        return [next(predicted) if isinstance(one, np.ndarray) else one for one in read]

    def _read_lines(self, bodies: Sequence[bytes]) -> Matrix | None:
        """The matrix of bodies that are one line of plain numbers each; None where one is anything else."""
        commas = len(self._schema.features) - 1
        lines = [body.removesuffix(b"\n").removesuffix(b"\r") for body in bodies]
        if any(line.count(b",") != commas for line in lines):
            return None
        joined = b",".join(lines)
        if joined.translate(None, _LINE):
            return None
        try:
            numbers = orjson.loads(b"[%b]" % joined)
        except orjson.JSONDecodeError:
            return None
        if len(numbers) != len(lines) * (commas + 1):
            return None
        values = np.array(numbers, dtype=np.float64).reshape(len(lines), commas + 1)
        return finite_float32(values if self._used is None else values[:, self._used])

    def _read(self, body: bytes, content_type: str | None) -> Matrix | Answer | None:
        try:
            kind = media_type_of(body, content_type or OCTET_STREAM).type
            if kind in _SLOW_TYPES or (kind != CSV and _may_be_wide(body)):
                return None
            table = decode_table(body, content_type or OCTET_STREAM)
            matrix = request_matrix(table, self._schema)
        except RequestError as error:
            return error_answer(error.status, error.message, error.details)
        except ValueError:
            return None  # the worker writes its traceback
        return matrix if len(matrix) <= self.most_rows else None

    def _write(self, matrix: Matrix, sizes: Sequence[int], accept: str | None) -> Iterator[Answer | None]:
        """An answer for each request, of so many rows each."""
        wanted = self._default_accept if not accept or accept.strip() == _WILDCARD else accept
        try:
            media_type, output = choose_output(wanted, self._schema, self._output)
        except RequestError as error:
            return itertools.repeat(error_answer(error.status, error.message, error.details))
        if output == "models":
            return itertools.repeat(None)
        columns = answer_columns(self._schema, output, self._compiled.predict(matrix), dict)
        if media_type.type == CSV and len(sizes) == len(matrix) and self._has_lines:
            body, content_type = encode_columns(columns, media_type)
            return (Answer(200, content_type, line) for line in body.splitlines(keepends=True))
        ends = itertools.accumulate(sizes)
        return (
            Answer(200, kind, body)
            for end, size in zip(ends, sizes, strict=True)
            for body, kind in [
                encode_columns({name: found[end - size : end] for name, found in columns.items()}, media_type)
            ]
        )


def _may_be_wide(body: bytes) -> bool:
    """True for JSON whose records may each have names of their own, which are columns of all of them."""
    return body.count(b"{") * body.count(b":") > _MOST_FIELDS


def _is_csv(content_type: str | None) -> bool:
    """True for CSV of features alone, which a body of plain numbers without a type also is (HOST-57)."""
    try:
        media_type = parse_media_type(content_type or OCTET_STREAM)
    except RequestError:
        return False
    others = set(media_type.parameters.items()) - {("header", "absent")}
    return media_type.type in (CSV, OCTET_STREAM) and all(name == "charset" for name, _ in others)
