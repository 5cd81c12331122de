"""From an invocation to its container, where every container serves one model: alone, chained, or named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from toolkit.hosting.api_errors import model_error, validation_error
from toolkit.hosting.fleet import Fleet
from toolkit.hosting.invocation import Invocation, Routed
from toolkit.hosting.limits import MB

HAND_OVER_LIMIT = 5 * MB  # bytes between two containers (PIPE-06)
_INVOCATIONS = "/invocations"


class SingleModel:
    """One container, one model."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    @contextmanager
    def answer(self, invocation: Invocation, limit: float) -> Iterator[Routed]:
        """See `Route`."""
        _refuse(invocation, target_model=True, target_container=True)
        with self._fleet.ask(0, "POST", _INVOCATIONS, invocation.headers, invocation.body, limit) as answer:
            yield Routed(answer, self._fleet.definitions[0].hostname)


class Direct:
    """Several containers, of which the client names one (PIPE-07)."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    @contextmanager
    def answer(self, invocation: Invocation, limit: float) -> Iterator[Routed]:
        """See `Route`."""
        _refuse(invocation, target_model=True)
        names = [definition.hostname for definition in self._fleet.definitions]
        if not invocation.target_container:
            raise validation_error(
                f"TargetContainerHostname is required in direct mode. The containers: {', '.join(names)}."
            )
        if invocation.target_container not in names:
            raise validation_error(
                f"TargetContainerHostname '{invocation.target_container}' is none of this "
                f"endpoint's containers: {', '.join(names)}."
            )
        index = names.index(invocation.target_container)
        with self._fleet.ask(
            index, "POST", _INVOCATIONS, invocation.headers, invocation.body, limit
        ) as answer:
            yield Routed(answer, names[index])


class Pipeline:
    """Several containers: the answer of each is the request of the next (PIPE-05).

    Args:
        fleet: its containers, in their order.
        endpoint: its name, for errors.
    """

    def __init__(self, fleet: Fleet, endpoint: str) -> None:
        self._fleet = fleet
        self._endpoint = endpoint

    @contextmanager
    def answer(self, invocation: Invocation, limit: float) -> Iterator[Routed]:
        """See `Route`; the limit is that of all containers together."""
        _refuse(invocation, target_model=True, target_container=True)
        deadline = monotonic() + limit
        *before, last = range(len(self._fleet.definitions))
        headers, body = dict(invocation.headers), invocation.body
        for index in before:
            body, content_type = self._hand_over(index, headers, body, deadline - monotonic())
            headers.pop("Content-Type", None)
            headers |= {"Content-Type": content_type} if content_type else {}
        with self._fleet.ask(last, "POST", _INVOCATIONS, headers, body, deadline - monotonic()) as answer:
            yield Routed(answer, self._fleet.definitions[last].hostname)

    def _hand_over(
        self, index: int, headers: dict[str, str], body: bytes, limit: float
    ) -> tuple[bytes, str | None]:
        hostname = self._fleet.definitions[index].hostname
        # What the client accepts is for the last container to keep.
        sent = {name: value for name, value in headers.items() if name != "Accept"}
        with self._fleet.ask(index, "POST", _INVOCATIONS, sent, body, limit) as answer:
            body = Routed(answer, hostname).read()
            if not 200 <= answer.status < 300:
                raise model_error(self._endpoint, hostname, answer.status, body.decode(errors="replace"))
            if len(body) > HAND_OVER_LIMIT:
                raise model_error(
                    self._endpoint,
                    hostname,
                    500,
                    f"The response of {hostname} has {len(body)} bytes: more than the maximum limit of 5 MB "
                    "between two containers.",
                )
            return body, answer.headers.get("content-type")


def _refuse(invocation: Invocation, target_model: bool = False, target_container: bool = False) -> None:
    if target_model and invocation.target_model:
        raise validation_error("TargetModel is given, but this is not a multi-model endpoint.")
    if target_container and invocation.target_container:
        raise validation_error(
            "TargetContainerHostname is given, but this endpoint is not in direct mode (--direct)."
        )
