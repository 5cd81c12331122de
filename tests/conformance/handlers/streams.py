"""A handler that answers part by part, as fast as the request says."""

import json
import time


def model_fn(model_dir):
    return ["first", "second", "third"]


def predict_fn(data, model):
    for number, word in enumerate(model):
        if number and "break" in data["inputs"]:
            raise RuntimeError("half is sent")
        if number:
            time.sleep(data["pause"])
        yield {"word": word}


def output_fn(prediction, accept):
    return (f"data: {json.dumps(part)}\n\n" for part in prediction), "text/event-stream"
