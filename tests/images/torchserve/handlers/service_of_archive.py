"""A class that extends nothing, one object of it in the module, and a function that TorchServe calls."""

import base64
import json
import logging
import os

import torch

logger = logging.getLogger(__name__)


class PictureHandler(object):
    def __init__(self):
        self.model = None
        self.mapping = None
        self.device = None
        self.initialized = False

    def initialize(self, ctx):
        properties = ctx.system_properties
        model_dir = properties.get("model_dir")
        self.device = torch.device(
            "cuda:" + str(properties.get("gpu_id")) if torch.cuda.is_available() else "cpu"
        )
        self.model = torch.jit.load(os.path.join(model_dir, "cnn.pt"), map_location=self.device)
        self.model.eval()
        mapping_file = os.path.join(model_dir, "index_to_name.json")
        with open(mapping_file) as f:
            self.mapping = json.load(f)
        self.initialized = True

    def preprocess(self, data):
        pictures = []
        for row in data:
            sent = row.get("data")
            if sent is None:
                sent = row.get("body")
            if isinstance(sent, (bytes, bytearray)):
                sent = json.loads(sent.decode("utf-8"))
            pixels = (
                base64.b64decode(sent["b64"]) if "b64" in sent else [int(255 * x) for x in sent["picture"]]
            )
            pictures.append(torch.tensor(list(pixels), dtype=torch.float32, device=self.device) / 255)
        return torch.stack(pictures).reshape(-1, 1, 8, 8)

    def inference(self, pictures):
        with torch.no_grad():
            return torch.exp(self.model(pictures)).max(dim=1)

    def postprocess(self, found):
        return [
            json.dumps({"class": self.mapping[str(place)], "probability": value})
            for value, place in zip(found.values.tolist(), found.indices.tolist(), strict=True)
        ]


_service = PictureHandler()


def handle(data, context):
    if not _service.initialized:
        _service.initialize(context)
    if data is None:
        return None
    logger.info("%d requests", len(data))
    return _service.postprocess(_service.inference(_service.preprocess(data)))
