"""A multi-model endpoint as the platform runs it: models below /opt/ml/models, and requests about them."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from urllib.parse import quote

from toolkit.serving.endpoint import Endpoint, Response

PLACE = "/opt/ml/models"
TARGET = "folder/some.tar.gz"  # what the client calls the model; to the container it says nothing (MME-13)


class ManyModels:
    """A container of a multi-model endpoint.

    Args:
        endpoint: runs, with `directory` mounted read-only at /opt/ml/models (MME-15).
        directory: of this machine, for unpacked models.
        archive: the model.tar.gz of every model.
    """

    def __init__(self, endpoint: Endpoint, directory: Path, archive: Path) -> None:
        self.endpoint, self._directory, self._archive = endpoint, directory, archive

    def unpack(self, folder: str, files: dict[str, str] | None = None) -> str:
        """Unpack the model to /opt/ml/models/<folder>/model (MME-03) with further files; its url."""
        model = self._directory / folder / "model"
        if not model.exists():
            model.mkdir(parents=True)
            with tarfile.open(self._archive) as tar:
                tar.extractall(model, filter="data")
        for name, text in (files or {}).items():
            (model / name).parent.mkdir(parents=True, exist_ok=True)
            (model / name).write_text(text)
        return f"{PLACE}/{folder}/model"

    def remove(self, folder: str) -> None:
        """Delete what was unpacked, as the platform does after an unload."""
        shutil.rmtree(self._directory / folder)

    def load(self, name: str, url: str) -> Response:
        """POST /models."""
        body = json.dumps({"model_name": name, "url": url}).encode()
        headers = {"Content-Type": "application/json", "X-Amzn-SageMaker-Target-Model": TARGET}
        return self.endpoint.request("POST", "/models", headers, body, timeout=360)

    def unload(self, name: str) -> Response:
        """DELETE /models/{name}."""
        return self.endpoint.request("DELETE", f"/models/{quote(name, safe='')}")

    def describe(self, name: str) -> Response:
        """GET /models/{name}."""
        return self.endpoint.request("GET", f"/models/{quote(name, safe='')}")

    def invoke(self, name: str, body: bytes, accept: str) -> Response:
        """POST /models/{name}/invoke."""
        headers = {
            "Content-Type": "text/csv",
            "Accept": accept,
            "X-Amzn-SageMaker-Target-Model": TARGET,
        }
        return self.endpoint.request("POST", f"/models/{quote(name, safe='')}/invoke", headers, body)

    def pages(self, limit: int | None = None) -> list[list[tuple[str, str]]]:
        """Names and urls of all models, page by page."""
        pages: list[list[tuple[str, str]]] = []
        tokens: list[str | None] = [None]
        while True:
            token = tokens[-1]
            query = [f"limit={limit}"] if limit else []
            query += [f"next_page_token={quote(token, safe='')}"] if token else []
            answer = self.endpoint.request("GET", "/models" + ("?" + "&".join(query) if query else ""))
            assert answer.status == 200, answer.text
            listed = json.loads(answer.text)
            pages.append([(model["modelName"], model["modelUrl"]) for model in listed["models"]])
            following = listed.get("nextPageToken")
            if following is None:
                return pages
            assert following not in tokens, "a page that was there before would come again"
            tokens.append(following)

    def names(self) -> list[str]:
        """All models that are loaded."""
        return [name for page in self.pages() for name, _ in page]
