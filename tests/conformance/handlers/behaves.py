"""Does what the request says, well or badly."""

import json
import os
import sys
import time


class RefusedError(Exception):
    """An error with a status of its own, as those of sagemaker-inference."""

    def __init__(self, status_code, message):
        super().__init__(message)
        self.status_code, self.message = status_code, message


def refuse(status):
    raise RefusedError(status, "not today")


def bug(value):
    raise RuntimeError("the cause, in a few words")


ACTIONS = {
    "bug": bug,
    "die": os._exit,
    "echo": lambda value: value,
    "exit": sys.exit,
    "large": lambda size: "x" * size,
    "nothing": lambda value: object(),
    "print": lambda size: print("x" * size, flush=True),
    "refuse": refuse,
    "sleep": time.sleep,
}


def model_fn(model_dir):
    return ACTIONS


def input_fn(body, content_type):
    if content_type != "application/json":
        raise RefusedError(415, f"{content_type} is not taken here")
    return json.loads(body)


def predict_fn(data, model):
    return model[data["action"]](data.get("value"))


def output_fn(prediction, accept):
    return prediction if type(prediction) is object else json.dumps(prediction)
