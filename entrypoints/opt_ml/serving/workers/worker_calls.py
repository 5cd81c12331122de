"""What both kinds of worker read and write: calls as `frames` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opt_ml.serving.answers import Answer
from opt_ml.serving.http.spool import read_spooled
from opt_ml.serving.invocation import Request
from opt_ml.serving.workers import frames
from opt_ml.serving.workers.jobs import RequestFacts


def requests_of(header: dict[str, Any], body: bytes) -> list[Request]:
    """The requests of a call."""
    described = header["requests"]
    return [
        Request(part, facts[0], facts[1], facts[3], facts[4])
        for facts, part in zip(described, bodies_of(described, body), strict=True)
    ]


def bodies_of(described: Sequence[RequestFacts], body: bytes) -> list[bytes]:
    """The bodies of the requests of a frame, which are in its body or on disk."""
    parts = frames.cut(body, (facts[2] for facts in described))
    return [
        read_spooled(facts[5]) if len(facts) > 5 else part
        for facts, part in zip(described, parts, strict=True)
    ]


def answers_frame(number: int, answers: list[Answer]) -> tuple[dict[str, Any], bytes]:
    """The header and the body of a frame with the answers to a call."""
    header = {"event": "answers", "call": number, "answers": [_facts(answer) for answer in answers]}
    return header, answers[0].body if len(answers) == 1 else b"".join(answer.body for answer in answers)


def start_frame(number: int, answer: Answer) -> tuple[dict[str, Any], bytes]:
    """The header and the body of a frame with the head of a stream and its first part."""
    return {"event": "start", "call": number, "answer": _facts(answer)}, answer.body


def end_header(number: int, cause: str | None = None) -> dict[str, Any]:
    """The header of the frame that ends a stream."""
    return {"event": "end", "call": number, "cause": cause}


def _facts(answer: Answer) -> tuple[Any, ...]:
    return answer.status, answer.content_type, len(answer.body), answer.headers
