"""`serve`: the model under /opt/ml/model behind GET /ping and POST /invocations.

Runs as PID 1 (HOST-02, HOST-03). Exit code 0 after SIGTERM or SIGINT, when the requests in flight are
answered (HOST-05); 1 where the model cannot be loaded, with the cause in the first line of the log.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

import uvloop

from opt_ml.errors import UserError
from opt_ml.serving.front import Front
from opt_ml.serving.quick import Quick, find_quick
from opt_ml.serving.settings import Settings, read_settings


def main() -> int:
    """Serve until told to stop; the console script `serve`. Returns the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):  # until the event loop listens; PID 1 would not end else
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        settings = read_settings()
        engine = os.environ.get("OPT_ML_SERVING_ENGINE") or "native"
        if engine == "mms":
            from opt_ml.serving.engines.mms import run_mms

            return run_mms(settings)
        if engine == "torchserve":
            from opt_ml.serving.engines.torchserve import run_torchserve

            return run_torchserve(settings)
        if engine != "native":
            raise UserError(f"OPT_ML_SERVING_ENGINE={engine} is none of native, mms and torchserve.")
        return run(settings)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1


def run(settings: Settings) -> int:
    """Serve with `settings`. Returns the exit code.

    Raises:
        UserError: the port cannot be bound, or a variable has a wrong value.
    """
    # What a session keeps is the affair of handlers, and those are in workers.
    quick = None if settings.sessions else find_quick(settings.model_dir)
    gc.freeze()  # the compiled model stays for good: collections need not walk it
    return int(uvloop.run(_serve(settings, quick)))


async def _serve(settings: Settings, quick: Quick | None) -> int:
    return await Front(settings, quick).run()


if __name__ == "__main__":
    sys.exit(main())
