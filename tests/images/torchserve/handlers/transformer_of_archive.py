"""TorchServe's class, all of it overridden: a transformer, its tokenizer, and a file of settings."""

import json
import os
from abc import ABC

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from ts.torch_handler.base_handler import BaseHandler


class TransformersClassifierHandler(BaseHandler, ABC):
    def __init__(self):
        super(TransformersClassifierHandler, self).__init__()
        self.initialized = False

    def initialize(self, ctx):
        self.manifest = ctx.manifest
        properties = ctx.system_properties
        model_dir = properties.get("model_dir")
        assert os.path.isfile(os.path.join(model_dir, self.manifest["model"]["serializedFile"]))
        self.device = torch.device(
            "cuda:" + str(properties.get("gpu_id")) if torch.cuda.is_available() else "cpu"
        )
        with open(os.path.join(model_dir, "setup_config.json")) as setup_config_file:
            self.setup_config = json.load(setup_config_file)
        self.model = AutoModelForSequenceClassification.from_pretrained(model_dir).to(self.device)
        self.tokenizer = AutoTokenizer.from_pretrained(model_dir)
        self.model.eval()
        self.initialized = True

    def preprocess(self, requests):
        texts = []
        for data in requests:
            input_text = data.get("data")
            if input_text is None:
                input_text = data.get("body")
            if isinstance(input_text, (bytes, bytearray)):
                input_text = input_text.decode("utf-8")
            texts.append(input_text["text"] if isinstance(input_text, dict) else input_text)
        return self.tokenizer(
            texts,
            max_length=int(self.setup_config["max_length"]),
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        ).to(self.device)

    def inference(self, input_batch):
        with torch.no_grad():
            return self.model(**input_batch).logits.argmax(dim=1).tolist()

    def postprocess(self, inference_output):
        return [self.setup_config["labels"][place] for place in inference_output]
