"""Handlers as they are published are answered alike by the native server and by TorchServe.

The native server runs in the image below, which has nothing of TorchServe: handlers that import it meet our
classes there, and TorchServe's own here.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.differential.toolkit_image import build_on
from tests.images.built import built
from toolkit.building import images
from toolkit.namespace import LOCAL_NAMESPACE
from toolkit.serving.endpoint import Endpoint, Response
from toolkit.serving.migration import MANIFEST, migrate

HERE = Path(__file__).parent
HANDLERS = HERE / "handlers"
FULL = "pytorch-full-cpu"
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


@pytest.fixture(scope="module")
def weights(our_image: images.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make_models.py writes."""
    directory = tmp_path_factory.mktemp("weights")
    _run(our_image.reference, directory, "make_models.py", "/tests/handlers")
    return directory


@pytest.fixture(scope="module")
def transformer(our_image: images.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make_transformer.py writes."""
    directory = tmp_path_factory.mktemp("transformer")
    _run(built(FULL).reference, directory, "make_transformer.py")
    return directory


def _run(image: str, output: Path, program: str, *arguments: str) -> None:
    """Run a program of this folder, whose last argument is a directory to write into."""
    mounts = ["-v", f"{HERE}:/tests:ro", "-v", f"{output}:/output"]
    command = ["python", "-B", f"/tests/{program}", *arguments, "/output"]
    subprocess.run(["docker", "run", "--rm", "--network", "none", *mounts, image, *command], check=True)


@pytest.fixture(scope="module")
def with_transformers(our_image: images.Image) -> tuple[str, str]:
    """References of the images for `Published.transformers`: the native server's, and TorchServe's."""
    requirements = images.ROOT / "containers" / "pytorch" / "requirements"
    reference = f"{LOCAL_NAMESPACE}/{our_image.name}:full"
    contexts = {"full": str(requirements)}
    return built(FULL).reference, build_on(our_image.name, HERE, reference, contexts=contexts)


@pytest.fixture
def model(request: pytest.FixtureRequest, weights: Path, tmp_path: Path) -> Callable[[Published], Path]:
    """Writes a model's directory; that of an archive by `build.py migrate`."""

    def write(published: Published) -> Path:
        directory = tmp_path / "files"
        if published.transformers:
            shutil.copytree(request.getfixturevalue("transformer"), directory)
        for path, source in published.files.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            found = [
                folder / source
                for folder in (weights, HANDLERS)
                if "{" not in source and (folder / source).is_file()
            ]
            if found:
                shutil.copy(found[0], file)
            else:
                file.write_text(source)
        return _migrated(directory, published, tmp_path) if published.archive else directory

    return write


def _migrated(directory: Path, published: Published, scratch: Path) -> Path:
    described = {"modelName": "published", "modelVersion": "1.0", **published.archive}
    with zipfile.ZipFile(scratch / "published.mar", "w") as archive:
        archive.writestr(str(MANIFEST), json.dumps({"model": described}))
        for path in directory.iterdir():
            archive.write(path, path.name)
    migrate(scratch / "published.mar", scratch / "model")
    return scratch / "model"


@pytest.mark.contract("HANDLER-30", "HANDLER-31")
@pytest.mark.parametrize("batch", ["1", "4"], ids=["alone", "joined"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_both_engines_answer_alike(name, batch, our_image, model, request):
    published = PUBLISHED[name]
    directory = model(published)
    engines = images.find(our_image.bases[0]).reference, our_image.reference
    if published.transformers:
        engines = request.getfixturevalue("with_transformers")
    native, torchserve = (_ask(image, directory, published, batch) for image in engines)
    assert [answer.status for answer in native].count(200) == 4 * published.good
    for ours, theirs in zip(native, torchserve, strict=True):
        assert (ours.status, ours.headers["content-type"]) == (
            theirs.status,
            theirs.headers["content-type"],
        ), ours.text + theirs.text
        assert _own_headers(ours) == _own_headers(theirs)
        assert _texts(ours) == _texts(theirs)
        assert _numbers(ours) == pytest.approx(_numbers(theirs), rel=1e-4)


def _ask(image: str, directory: Path, published: Published, batch: str) -> list[Response]:
    """The answers to all requests, four times, at once."""
    batches = {"SAGEMAKER_TS_BATCH_SIZE": batch, "SAGEMAKER_TS_MAX_BATCH_DELAY": "20"}
    environment = {**published.environment, **batches}
    with (
        Endpoint(image, directory, environment=environment) as endpoint,
        ThreadPoolExecutor(8) as pool,
    ):
        return list(pool.map(lambda one: endpoint.invoke(*one), published.requests * 4))


def _own_headers(answer: Response) -> dict[str, str]:
    """Those that handlers of this folder set."""
    return {name: value for name, value in answer.headers.items() if name in ("x-classes", "x-model")}


def _numbers(answer: Response) -> dict[str, float]:
    """The numbers of an answer, by their places."""
    return {place: value for place, value in _leaves(_content(answer)) if isinstance(value, float | int)}


def _texts(answer: Response) -> dict[str, str]:
    """Likewise whatever is no number."""
    return {place: value for place, value in _leaves(_content(answer)) if not isinstance(value, float | int)}


def _content(answer: Response) -> Any:
    if answer.media_type == NPY:
        return np.load(io.BytesIO(answer.body)).tolist()
    if answer.media_type == CSV:
        return [[_value(field) for field in line.split(",")] for line in answer.text.splitlines()]
    return _value(answer.text) if answer.media_type == JSON else answer.text


def _value(text: str) -> Any:
    """Of JSON, or the text itself: of a field of CSV, and as TorchServe's handlers return labels."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from _leaves(part, f"{place}/{key}")
    else:
        yield place, value
