"""A handler that answers part by part, as fast as the request says, or as its client reads."""

import json
import time
from pathlib import Path

LONGEST_WAIT = 20.0  # seconds


def model_fn(model_dir):
    return ["first", "second", "third"]


def predict_fn(data, model):
    for number, word in enumerate(model):
        if number and "break" in data["inputs"]:
            raise RuntimeError("half is sent")
        if number:
            time.sleep(data["pause"])
            wait_for(data.get("gate"))
        yield {"word": word}


def wait_for(gate):
    """Until the client, which has read the first part, has made the file."""
    deadline = time.monotonic() + LONGEST_WAIT
    while gate and not Path(gate).exists():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody has read the first part")
        time.sleep(0.02)


def output_fn(prediction, accept):
    return (f"data: {json.dumps(part)}\n\n" for part in prediction), "text/event-stream"
