"""A person's use of SDK 3's Endpoint, which asks the runtime API: `endpoint_of_core.py REQUEST RESULT`.

The request's keys: `endpoint` (its name), `opens` (a body that opens a session), `uses` (bodies within it)
and `closes` (a body that closes it). The result: the answers' session ids, bodies, and what the client
raises where the session is used once more.
"""

import json
import sys
from pathlib import Path

from sagemaker.core.resources import Endpoint


def main(request, result):
    endpoint = Endpoint(endpoint_name=request["endpoint"])

    def invoke(body, session):
        return endpoint.invoke(body=body.encode(), content_type="application/json", session_id=session)

    opened = invoke(request["opens"], "NEW_SESSION")
    name = opened.new_session_id.partition(";")[0]
    used = [json.loads(invoke(body, name).body.read()) for body in request["uses"]]
    closed = invoke(request["closes"], name)
    try:
        error = str(invoke(request["uses"][0], name))
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    answer = {
        "opened": opened.new_session_id,
        "used": used,
        "closed": closed.closed_session_id,
        "error": error,
    }
    result.write_text(json.dumps(answer))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
