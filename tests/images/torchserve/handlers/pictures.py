"""Of the PyTorch toolkit: pictures as files or in JSON, and arrays by its decoder and encoder."""

import base64
import io
import json
import logging
import os

import numpy as np
import torch
from PIL import Image
from sagemaker_inference import content_types, decoder, default_inference_handler, encoder, errors, utils

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)


def model_fn(model_dir):
    logger.info("loading %s", os.listdir(model_dir))
    return torch.jit.load(os.path.join(model_dir, "model.pt"), map_location=torch.device("cpu")).eval()


def input_fn(request_body, content_type="application/x-image"):
    if content_type in ("application/x-image", "image/png", "image/jpeg"):
        return to_tensor(Image.open(io.BytesIO(request_body)))
    if content_type == content_types.JSON and "image" in json.loads(request_body):
        return to_tensor(Image.open(io.BytesIO(base64.b64decode(json.loads(request_body)["image"]))))
    array = decoder.decode(request_body, content_type)
    return torch.as_tensor(array, dtype=torch.float32).reshape(-1, 1, 8, 8)


def to_tensor(picture):
    pixels = np.asarray(picture.convert("L").resize((8, 8)), dtype=np.float32)
    return torch.from_numpy(pixels / 255)[None, None]


def predict_fn(input_data, model):
    with torch.inference_mode():
        return model(input_data)


def output_fn(prediction, accept):
    for content_type in utils.parse_accept(accept):
        if content_type in encoder.SUPPORTED_CONTENT_TYPES:
            return encoder.encode(prediction.detach().cpu().numpy(), content_type), content_type
    raise errors.UnsupportedFormatError(accept)


class Handler(default_inference_handler.DefaultInferenceHandler):
    """Left in the file, as it is in many, and used by nobody."""
