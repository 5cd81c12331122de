"""A script as people write it for AWS's AutoGluon image: model_fn, and one function for the rest."""

import json
import os
from pathlib import Path


def model_fn(model_dir):
    return json.loads((Path(model_dir) / "weights.json").read_text())


def transform_fn(model, request_body, input_content_type, output_content_type="application/json"):
    if request_body == "bad":
        raise ValueError("column age is missing")
    if request_body == "bug":
        raise KeyError("a name in my code")
    facts = {
        "body_type": type(request_body).__name__,
        "input_content_type": input_content_type,
        "output_content_type": output_content_type,
        "size": len(request_body),
        "bias": model["bias"],
        "process": os.getpid(),
    }
    body = json.dumps(facts)
    return (body.encode() if input_content_type == "application/x-bytes" else body), output_content_type
