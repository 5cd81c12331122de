"""Handlers as they are published, each with its model, and what clients send to them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
PICTURES = np.random.default_rng(7).random((4, 1, 8, 8), dtype=np.float32).round(3)
PICTURE = json.dumps({"picture": PICTURES[0].ravel().tolist()}).encode()
TEXTS = ["a fine film", "dull and far too long", "fine", "I would see it again and again, with all of you"]
LABELS = {"0": "cat", "1": ["n02", "dog"], "2": "cow"}
PIXELS = bytes((PICTURES[0] * 255).astype("uint8").ravel())
PICTURE_FILE = b"P5 8 8 255\n" + PIXELS  # PGM, which needs no library to write


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@dataclass(frozen=True)
class Published:
    """One handler with its model, and what clients send.

    Attributes:
        files: path in the model's directory -> a file of the weights or of `handlers`, or a text.
        requests: body, Content-Type and Accept of each.
        good: how many of them are answered with 200; the others are refused.
        archive: what the manifest of a .mar says of the model; `files` are then those of the archive.
        environment: of the endpoint.
        transformers: the handler needs the library, and the files of the transformer lie with its own.
    """

    files: Mapping[str, str]
    requests: list[tuple[bytes, str, str | None]]
    good: int
    archive: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    transformers: bool = False


PICTURE_REQUESTS = [
    (json.dumps(PICTURES.tolist()).encode(), JSON, JSON),
    (npy(PICTURES), NPY, NPY),
    (npy(PICTURES[:1]), NPY, CSV),
    (npy(PICTURES[:1]), NPY, None),
    (npy(PICTURES[0, 0]), NPY, JSON),
    (b"[[1, 2", JSON, JSON),
    (b"1,2", "application/x-unknown", JSON),
]
PUBLISHED = {
    "no-code": Published({"model.pt": "cnn.pt"}, PICTURE_REQUESTS, good=4),
    "no-code-warmed-up": Published(
        {"model.pt": "cnn.pt", "picture.npy": "picture.npy"},
        PICTURE_REQUESTS,
        good=4,
        environment={"OPT_ML_WARM_UP": "picture.npy"},
    ),
    "four-functions": Published(
        {
            "model.pth": "sentiment.pth",
            "code/inference.py": "four_functions.py",
            "code/sentiment.py": "sentiment.py",
        },
        [
            (json.dumps({"texts": TEXTS}).encode(), JSON, None),
            (json.dumps({"texts": TEXTS[:1]}).encode(), JSON, JSON),
            (b"a fine film", "text/plain", None),
            (b'{"text": 1}', JSON, None),
        ],
        good=2,
    ),
    "one-transform": Published(
        {"model.pt": "cnn.pt", "code/inference.py": "one_transform.py"},
        [(json.dumps(PICTURES.tolist()).encode(), JSON, None), (b"[1, 2]", JSON, None)],
        good=1,
    ),
    "pictures": Published(
        {"model.pt": "cnn.pt", "code/inference.py": "pictures.py"},
        [
            (PICTURE_FILE, "application/x-image", None),
            (json.dumps({"image": base64.b64encode(PICTURE_FILE).decode()}).encode(), JSON, CSV),
            (json.dumps(PICTURES.tolist()).encode(), JSON, f"image/png, {NPY}"),
            (npy(PICTURES), NPY, JSON),
            (npy(PICTURES), NPY, "image/png"),
            (PICTURE_FILE, "image/gif", None),
        ],
        good=4,
    ),
    "hugging-face": Published(
        {
            "model.pth": "sentiment.pth",
            "code/inference.py": "hugging_face.py",
            "code/sentiment.py": "sentiment.py",
        },
        [
            (json.dumps({"inputs": TEXTS}).encode(), JSON, None),
            (json.dumps({"inputs": TEXTS[1:2]}).encode(), JSON, JSON),
            (b'{"inputs": ', JSON, None),
        ],
        good=2,
    ),
    "hugging-face-toolkit": Published(
        {"code/inference.py": "hugging_face_toolkit.py"},
        [
            (json.dumps({"inputs": TEXTS}).encode(), JSON, None),
            (
                json.dumps(
                    {"inputs": TEXTS[0], "parameters": {"max_length": 2, "truncation": True}}
                ).encode(),
                JSON,
                JSON,
            ),
            ("inputs\n{}\n{}\n".format(*TEXTS[:2]).encode(), CSV, CSV),
            (b"no,header\n", CSV, JSON),
            (json.dumps({"inputs": TEXTS}).encode(), JSON, "application/x-unknown"),
            (b'{"inputs": ', JSON, None),
        ],
        good=3,
        transformers=True,
    ),
    "hugging-face-embeddings": Published(
        {"code/inference.py": "embeddings.py"},
        [(json.dumps({"inputs": text}).encode(), JSON, None) for text in TEXTS],
        good=4,
        transformers=True,
    ),
    "base-handler": Published(
        {
            "extends_base_handler.py": "extends_base_handler.py",
            "cnn.pt": "cnn.pt",
            "index_to_name.json": json.dumps(LABELS),
        },
        [
            (PICTURE, JSON, None),
            (bytes(range(64)), "application/octet-stream", None),
            (b"short", "image/png", None),
        ],
        good=2,
        archive={"handler": "extends_base_handler.py", "serializedFile": "cnn.pt"},
    ),
    "base-handler-state-dict": Published(
        {
            "extends_base_handler.py": "extends_base_handler.py",
            "cnn.pth": "cnn.pth",
            "small_cnn.py": "small_cnn.py",
            "index_to_name.json": json.dumps(LABELS),
        },
        [(PICTURE, JSON, None)],
        good=1,
        archive={
            "handler": "extends_base_handler.py",
            "serializedFile": "cnn.pth",
            "modelFile": "small_cnn.py",
        },
    ),
    "base-handler-of-transformers": Published(
        {
            "transformer_of_archive.py": "transformer_of_archive.py",
            "setup_config.json": json.dumps({"max_length": "16", "labels": ["bad", "good"]}),
        },
        [
            *((text.encode(), "text/plain", None) for text in TEXTS),
            (json.dumps({"text": TEXTS[3]}).encode(), JSON, None),
        ],
        good=5,
        archive={"handler": "transformer_of_archive.py", "serializedFile": "model.safetensors"},
        transformers=True,
    ),
    "service-of-an-archive": Published(
        {
            "service_of_archive.py": "service_of_archive.py",
            "cnn.pt": "cnn.pt",
            "index_to_name.json": json.dumps(LABELS),
        },
        [
            (PICTURE, JSON, None),
            (PICTURE, "application/octet-stream", None),
            (json.dumps({"b64": base64.b64encode(PIXELS).decode()}).encode(), "text/plain", None),
        ],
        good=3,
        archive={"handler": "service_of_archive.py", "serializedFile": "cnn.pt"},
    ),
    "function-of-an-archive": Published(
        {
            "function_of_archive.py": "function_of_archive.py",
            "weights.zip": "weights.zip",
            "small_cnn.py": "small_cnn.py",
        },
        [(PICTURE, JSON, None), (b'{"picture": []}', JSON, None)],
        good=1,
        archive={"handler": "function_of_archive.py"},
    ),
}
