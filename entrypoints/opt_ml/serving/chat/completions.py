"""What a chat_fn tells, in the form of OpenAI's API: one object, or the events of a stream."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

import orjson

from opt_ml.serving.chat.requests import wants_usage

DONE = b"data: [DONE]\n\n"
_KEYS = frozenset({"content", "tool_calls", "finish_reason", "usage"})


class Completion:
    """One answer while it grows.

    Args:
        request: the client's, checked; `model` is named in the answer as the client named it.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._facts = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": request.get("model") or "",
        }
        self._wants_usage = wants_usage(request)
        self._texts: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._finish_reason: str | None = None
        self._usage: dict[str, int] | None = None

    def take(self, part: Any) -> dict[str, Any]:
        """Note a part, and give what it adds to the message.

        Raises:
            TypeError: the part is none; see the package.
        """
        if isinstance(part, str):
            part = {"content": part}
        if not isinstance(part, Mapping):
            raise TypeError(f"chat_fn gave a {type(part).__name__}; give texts, or dicts with a content")
        unknown = sorted(set(part) - _KEYS)
        if unknown:
            known = ", ".join(sorted(_KEYS))
            raise TypeError(f"chat_fn gave a dict with {unknown[0]!r}; its keys are {known}")
        self._finish_reason = part.get("finish_reason") or self._finish_reason
        if part.get("usage") is not None:
            self._usage = _counts(part["usage"])
        added: dict[str, Any] = {}
        if part.get("content"):
            self._texts.append(part["content"])
            added["content"] = part["content"]
        if part.get("tool_calls"):
            first = len(self._calls)
            calls = [{"type": "function", **call} for call in part["tool_calls"]]
            self._calls += calls
            added["tool_calls"] = [{"index": first + place, **call} for place, call in enumerate(calls)]
        return added

    def whole(self) -> bytes:
        """All of it, as one object."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._texts)}
        if self._calls:
            message |= {"content": message["content"] or None, "tool_calls": self._calls}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._reason()}
        usage = {} if self._usage is None else {"usage": self._usage}
        return orjson.dumps({**self._facts, "object": "chat.completion", "choices": [choice], **usage})

    def opening(self) -> bytes:
        """The event that opens a stream."""
        return self._event({"role": "assistant", "content": ""})

    def event(self, added: Mapping[str, Any]) -> bytes:
        """The event of a part; nothing for one that adds nothing to the message."""
        return self._event(added) if added else b""

    def closing(self) -> bytes:
        """The events that end a stream."""
        usage = b""
        if self._wants_usage and self._usage is not None:
            usage = _data({**self._chunk([]), "usage": self._usage})
        return self._event({}, self._reason()) + usage + DONE

    def _event(self, delta: Mapping[str, Any], reason: str | None = None) -> bytes:
        chunk = self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}])
        return _data({**chunk, "usage": None} if self._wants_usage else chunk)

    def _chunk(self, choices: list[Any]) -> dict[str, Any]:
        return {**self._facts, "object": "chat.completion.chunk", "choices": choices}

    def _reason(self) -> str:
        return self._finish_reason or ("tool_calls" if self._calls else "stop")


def _data(content: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(content) + b"\n\n"


def _counts(usage: Mapping[str, Any]) -> dict[str, int]:
    """The counts, with their sum where the handler leaves it out."""
    try:
        counts = {key: int(usage[key]) for key in ("prompt_tokens", "completion_tokens")}
    except (KeyError, TypeError, ValueError):
        raise TypeError(
            f"chat_fn gave usage={usage!r}; it holds numbers of prompt_tokens and completion_tokens"
        ) from None
    return {**counts, "total_tokens": sum(counts.values())}


def error_event(content: Mapping[str, Any]) -> bytes:
    """The event that says why a stream is broken off."""
    return _data(content)
