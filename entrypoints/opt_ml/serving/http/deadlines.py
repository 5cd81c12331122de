"""When a call has taken too long, and what is to be done about it."""

from __future__ import annotations

from typing import NamedTuple

from opt_ml.serving.settings import Settings
from opt_ml.serving.workers.jobs import Call

CANCEL_PATIENCE = 10.0
"""Seconds in which a worker ends what nobody wants any more."""


class Overdue(NamedTuple):
    """What to do about a call that has taken too long.

    Attributes:
        cause: for its client; empty where that has its answer already.
        ends_worker: the worker cannot be told to give it up, or was told in vain.
    """

    cause: str
    ends_worker: bool


def overdue(call: Call, is_concurrent: bool, settings: Settings, now: float) -> Overdue | None:
    """None for a call that has time left.

    Args:
        call: the call.
        is_concurrent: its worker goes on with other calls, which need not suffer for it.
        settings: the limits.
        now: event loop time.
    """
    if call.is_cancelled:
        return Overdue("", True) if call.since < now - CANCEL_PATIENCE else None
    if call.is_streaming and call.began < now - settings.stream_timeout:  # HOST-66
        limit = f"{settings.stream_timeout:g} seconds (SAGEMAKER_MODEL_SERVER_STREAM_TIMEOUT)"
        return Overdue(f"The stream took longer than {limit}.", False)
    if not call.is_held and call.since < now - settings.timeout:  # HOST-50
        limit = f"{settings.timeout:g} seconds (SAGEMAKER_MODEL_SERVER_TIMEOUT)"
        return Overdue(f"The prediction took longer than {limit}.", not is_concurrent)
    return None
