"""TorchServe's class, extended: pictures as bytes or as JSON, and the labels of index_to_name.json."""

import torch
from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import map_class_to_label


class Digits(BaseHandler):
    def preprocess(self, data):
        rows = [row.get("data") or row.get("body") for row in data]
        pictures = [
            row["picture"] if isinstance(row, dict) else [pixel / 255 for pixel in row] for row in rows
        ]
        return torch.tensor(pictures, dtype=torch.float32, device=self.device).reshape(-1, 1, 8, 8)

    def postprocess(self, data):
        return map_class_to_label(torch.exp(data).tolist(), self.mapping)
