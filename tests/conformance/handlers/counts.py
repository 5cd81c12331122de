"""Counts the requests of each session in a file of the session, and ends its process where it is told to."""

import json
import os


def model_fn(model_dir):
    return None


def transform_fn(model, body, content_type, accept, context):
    session = context.session
    if session is None:
        return json.dumps({"session": None}), "application/json"
    if body == "end":
        os._exit(1)
    counted = session.directory / "counted"
    with counted.open("a") as file:
        file.write(".")
    before = session.get("body")
    session.put("body", body)
    facts = {
        "session": session.session_id,
        "count": counted.stat().st_size,
        "before": before,
        "process": os.getpid(),
        "directory": str(session.directory),
    }
    return json.dumps(facts), "application/json"
