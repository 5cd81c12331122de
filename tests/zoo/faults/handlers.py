"""Faults of our own `serve` with a user's handler."""

from dataclasses import replace
from typing import Any

from .changes import before

MEGABYTE = 2**20


def late_500() -> None:
    """A prediction that takes too long is answered like any other failure."""
    from opt_ml.serving.workers.pool import Pool

    usual = Pool._fail

    def fail(pool: Pool, call: Any, status: int, *rest: Any, **options: Any) -> None:
        usual(pool, call, 500 if status == 504 else status, *rest, **options)

    Pool._fail = fail


def limits_stay() -> None:
    """No variable lifts the limit of 100 MB."""

    def change(settings: Any) -> Any:
        return replace(settings, max_body=min(settings.max_body or 100 * MEGABYTE, 100 * MEGABYTE))

    _change_settings(change)


def no_time_out() -> None:
    """A prediction may take an hour."""
    _change_settings(lambda settings: replace(settings, timeout=3600))


def short_time_out() -> None:
    """A prediction has one second, whatever the variables say."""
    _change_settings(lambda settings: replace(settings, timeout=1))


def two_workers() -> None:
    """There are two workers, whatever the variable says."""
    _change_settings(lambda settings: replace(settings, workers=2))


def logs_everything() -> None:
    """The variable of the log level is not read."""
    from opt_ml.serving import settings
    from opt_ml.serving.log_policy import LogPolicy

    settings.read_log_policy = lambda environment: LogPolicy()


def wants_a_model_name() -> None:
    """A chat whose model is empty is refused."""
    from opt_ml.serving.chat import requests

    def check(request: Any) -> None:
        if request.get("model") == "":
            raise requests._wrong("model", "must be a name")

    before(requests, "_check", check)


def one_stream_path() -> None:
    """A stream is opened at the usual path alone."""
    from opt_ml.serving.answers import error_answer
    from opt_ml.serving.bidirectional.streams import Streams

    def refuse(streams: Streams, request: Any, connection: Any) -> bool:
        if request.target == b"/invocations-bidirectional-stream":
            return False
        connection.respond(error_answer(404, "No such path."))
        return True

    before(Streams, "ask", refuse)


def no_pongs() -> None:
    """The pings of a stream are not answered."""
    from websockets.frames import Opcode
    from websockets.protocol import Protocol

    before(Protocol, "send_frame", lambda protocol, frame: frame.opcode is Opcode.PONG)


def bodies_are_bytes() -> None:
    """What transform_fn returns as text is refused."""
    from opt_ml.serving.invocation import Model

    def refuse(model: Model, result: Any, *rest: Any) -> None:
        if isinstance(result, tuple) and isinstance(result[0], str):
            raise TypeError("transform_fn must return bytes.")

    before(Model, "_to_answer", refuse)


def parts_at_the_end() -> None:
    """A streamed answer is sent when all of it is there."""
    from opt_ml.serving import invocation

    usual = invocation.Parts
    invocation.Parts = lambda source, finish: usual(iter(list(source)), finish)


def _change_settings(change: Any) -> None:
    from opt_ml.serving import settings

    usual = settings.read_settings
    settings.read_settings = lambda *environment: change(usual(*environment))
