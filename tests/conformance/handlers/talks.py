"""Sends each message of a bidirectional stream back, and does what some of them say."""

import json
import os
import time
from pathlib import Path


def model_fn(model_dir):
    return {"model": model_dir}


def transform_fn(model, body, content_type, accept):
    return json.dumps({"process": os.getpid()}), "application/json"


async def bidirectional_fn(stream, model, context):
    try:
        async for message in stream:
            if message == "facts":
                facts = {"path": stream.path, "header": context.get_request_header(0, "X-Test"), **model}
                await stream.send(json.dumps({**facts, "process": os.getpid()}))
            elif message == "parts":
                await stream.send("one ", is_last=False)
                await stream.send("message", is_last=True)
            elif message == "leave":
                return
            elif message == "close":
                stream.close(4321, "enough")
            elif message == "fail":
                await stream.send("half ", is_last=False)
                raise RuntimeError("talks.py fails on purpose")
            elif message == "end":
                os._exit(1)
            elif message == "block":
                while not Path("/tmp/unblocked").exists():
                    time.sleep(0.01)
                await stream.send("unblocked")
            else:
                await stream.send(message)
    finally:
        print(f"talks.py: {stream.path} is over", flush=True)
