"""The names of the job's hosts, which may begin to resolve only after the start (TRAIN-42, TT-54)."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from opt_ml.errors import UserError

LIMIT_VARIABLE = "OPT_ML_HOSTS_TIMEOUT"
_LIMIT = 300.0  # seconds; the AWS toolkit waits three times as long, without a word
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def wait_for_hosts(hosts: Sequence[str]) -> None:
    """Return when every name resolves; at once for one host, which has nobody to talk to.

    Raises:
        UserError: a name does not resolve inside of OPT_ML_HOSTS_TIMEOUT seconds.
    """
    if len(hosts) < 2 or os.environ.get("SM_STUDIO_LOCAL_MODE", "").lower() == "true":
        return
    limit = _limit()
    started = time.monotonic()
    attempt = 0
    missing = [host for host in hosts if not _resolves(host)]
    while missing:
        waited = time.monotonic() - started
        if waited >= limit:
            raise UserError(
                f"The host names {', '.join(missing)} do not resolve after {waited:.0f} s. "
                f"Look whether those hosts have started; {LIMIT_VARIABLE} sets the limit in seconds."
            )
        if attempt % len(_PAUSES) == 0:
            print(
                f"Waiting for the host names {', '.join(missing)}: {waited:.0f} of {limit:.0f} s", flush=True
            )
        pause = _PAUSES[min(attempt, len(_PAUSES) - 1)]
        time.sleep(min(pause, max(limit - waited, 0.01)))
        missing = [host for host in missing if not _resolves(host)]
        attempt += 1


def _limit() -> float:
    text = os.environ.get(LIMIT_VARIABLE) or str(_LIMIT)
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{LIMIT_VARIABLE}={text} is not a number of seconds.") from None


def _resolves(host: str) -> bool:
    """Look the name up in a thread: it takes seconds where no server answers, and SIGTERM must not wait."""
    import socket
    import threading

    found: list[str] = []

    def look_up() -> None:
        try:
            found.append(socket.gethostbyname(host))
        except (OSError, UnicodeError):
            return

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join()
    return bool(found)
