"""Tells what a handler is given: its surroundings, its arguments, and what its context knows."""

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import beside


def model_fn(model_dir):
    print("facts.py loads", flush=True)
    return {"model_dir": model_dir, "files": sorted(path.name for path in Path(model_dir).iterdir())}


def input_fn(body, content_type):
    text = body if isinstance(body, str) else bytes(body).hex()
    return {"body": text, "body_type": type(body).__name__, "content_type": content_type}


def predict_fn(data, model):
    additional = Path("/opt/ml/additional-model-data-sources")
    scratch = [directory for directory in ("/tmp", "/var/tmp", "/root") if can_write(directory)]
    return {
        **model,
        **data,
        "beside": beside.VALUE,
        "environment": dict(os.environ),
        "hostname": socket.gethostname(),
        "shared_memory": shutil.disk_usage("/dev/shm").total,
        "scratch": scratch,
        "additional": {str(path): path.read_text() for path in additional.rglob("*") if path.is_file()},
    }


def output_fn(prediction, accept, context=None):
    print("facts.py answers", file=sys.stderr)
    facts = {**prediction, "accept": accept}
    if context is not None:  # not every stack gives one: HANDLER-05
        headers = context.get_all_request_header(0)
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", headers.get("x-wanted", "none"))
        facts |= {"headers": headers, "request": context.get_request_id(0)}
    return json.dumps(facts), "application/json"


def can_write(directory):
    try:
        (Path(directory) / "scratch").write_text("text")
    except OSError:
        return False
    return True
