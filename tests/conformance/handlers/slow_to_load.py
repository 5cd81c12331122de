"""Takes a while to load, and cannot answer before it has."""

import time


def model_fn(model_dir):
    time.sleep(3)
    return "loaded"


def transform_fn(model, body, content_type, accept):
    return model, "text/plain"
