"""Handlers as they are published are answered alike by the native server and by TorchServe.

The native server runs in the image below, which has nothing of TorchServe: handlers that import it meet our
classes there, and TorchServe's own here.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.differential.toolkit_image import build_on
from tests.images.built import built
from tests.images.torchserve.published import CSV, JSON, NPY, PUBLISHED, Published
from toolkit.building import images
from toolkit.namespace import LOCAL_NAMESPACE
from toolkit.serving.endpoint import Endpoint, Response
from toolkit.serving.migration import MANIFEST, migrate

HERE = Path(__file__).parent
HANDLERS = HERE / "handlers"
FULL = "pytorch-full-cpu"


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
