"""A local image to repositories of registries, as Docker schema 2, and looked at there.

Layers leave the engine once, one after the other, through one temporary file each: it is compressed, sent to
every target that lacks it, and removed. So memory holds a few MB, and the disk a few layers.
"""

from __future__ import annotations

import errno
import json
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from toolkit.errors import WorkError
from toolkit.machine.image_stream import save_image
from toolkit.registry.acceptance import CONFIG, LAYER, MANIFEST, find_refusals
from toolkit.registry.archive import Archive
from toolkit.registry.client import Registry
from toolkit.registry.compression import Blob, ZstdLayerError, gzip_layer
from toolkit.registry.known_layers import KnownLayers
from toolkit.registry.progress import watched

UPLOADS_AT_ONCE = 4
_FILES_AT_ONCE = 2  # layers on the disk that are on their way, beside the one that is compressed


@dataclass(frozen=True)
class Target:
    """A repository to push to.

    Attributes:
        registry: where.
        repository: without the registry's host.
        tags: to give the image, the first for the image_uri.
        fixed: tags of `tags` that stay with one image for good.
    """

    registry: Registry
    repository: str
    tags: tuple[str, ...]
    fixed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pushed:
    """What a repository has now.

    Attributes:
        target: which.
        digest: of the manifest.
        size: bytes of the compressed layers and the configuration.
        sent: bytes that were sent for it.
    """

    target: Target
    digest: str
    size: int
    sent: int


Report = Callable[[str], None]


class Push:
    """One image on its way to some targets.

    Args:
        reference: what `docker save` takes; an id, so that no build changes it on the way.
        diff_ids: of its layers, lowest first, as `docker image inspect` tells them.
        targets: where to.
        known: see `KnownLayers`.
        report: takes a line for each layer and target.
    """

    def __init__(
        self,
        reference: str,
        diff_ids: Sequence[str],
        targets: Sequence[Target],
        known: KnownLayers,
        report: Report,
    ) -> None:
        self._reference = reference
        self._diff_ids = list(diff_ids)
        self._targets = targets
        self._known = known
        self._report = report
        self._blobs: dict[str, Blob] = {}
        self._sent = dict.fromkeys(range(len(targets)), 0)

    def run(self) -> list[Pushed]:
        """Send what is missing, give the tags, and look at what is there.

        Raises:
            WorkError: the network, the disk or the registry failed, or SageMaker would refuse what is there.
            ToolkitError: the registry refuses.
        """
        with save_image(self._reference) as stream:
            archive = Archive(stream)
            with tempfile.TemporaryDirectory(prefix="push-") as scratch:
                self._send_layers(archive, Path(scratch))
        configuration = archive.configuration()
        layers = [self._blobs[name] for name in archive.order()]
        found = json.loads(configuration)["rootfs"]["diff_ids"]
        if found != self._diff_ids or len(found) != len(layers):
            raise WorkError(f"{self._reference} is not the image that was looked at before.", "Push again.")
        return [self._finish(number, configuration, layers) for number in range(len(self._targets))]

    def _send_layers(self, archive: Archive, scratch: Path) -> None:
        """Each layer to each target that lacks it; a failed one ends all."""
        waiting: deque[tuple[list[Future[None]], Path]] = deque()
        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            try:
                for name, size, content in archive.layers():
                    blob = self._known.compressed(name)
                    if blob is None or not self._is_everywhere(blob):
                        path = scratch / str(len(self._blobs))
                        blob = self._spool(name, size, content, path)
                        jobs = [
                            pool.submit(self._send, number, blob, partial(self._open, number, blob, path))
                            for number in range(len(self._targets))
                        ]
                        waiting.append((jobs, path))
                    self._blobs[name] = blob
                    while len(waiting) > _FILES_AT_ONCE:
                        _wait_for(*waiting.popleft())
                while waiting:
                    _wait_for(*waiting.popleft())
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _is_everywhere(self, blob: Blob) -> bool:
        for target in self._targets:
            if not self._is_there(target, blob):
                return False
        for target in self._targets:
            self._report(f"{target.registry.host}/{target.repository}  {_describe(blob)}  is there")
        return True

    def _spool(self, name: str, size: int, content: IO[bytes], path: Path) -> Blob:
        try:
            with path.open("wb") as file:
                blob = gzip_layer(watched(content, size, partial(self._tell_packed, size)), file)
        except ZstdLayerError:
            raise WorkError(
                f"a layer of {self._reference} is compressed with zstd, and SageMaker wants gzip.",
                "Build it with compression=gzip,force-compression=true.",
            ) from None
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise WorkError(
                f"the disk is full: a layer of {size / 1e6:.0f} MB did not fit below {path.parent}.",
                "TMPDIR=DIR with room for some layers, or `docker builder prune`.",
            ) from None
        self._known.remember_compressed(name, blob)
        return blob

    def _is_there(self, target: Target, blob: Blob) -> bool:
        """True where the repository has the blob, or takes it over from another one of its registry."""
        registry, repository = target.registry, target.repository
        there = registry.has_blob(repository, blob.digest)
        source = self._known.repository_with(registry.host, blob.digest, repository)
        if not there and source:
            there = registry.mount_blob(repository, blob.digest, source)
        if there:
            self._known.remember_place(registry.host, repository, blob.digest)
        return there

    def _send(self, number: int, blob: Blob, opened: Callable[[], IO[bytes]]) -> None:
        target = self._targets[number]
        said = "is there"
        if not self._is_there(target, blob):
            target.registry.upload_blob(target.repository, blob, opened)
            self._known.remember_place(target.registry.host, target.repository, blob.digest)
            self._sent[number] += blob.size
            said = "sent"
        self._report(f"{target.registry.host}/{target.repository}  {_describe(blob)}  {said}")

    def _open(self, number: int, blob: Blob, path: Path) -> IO[bytes]:
        """A compressed layer, on its way to a target."""
        target = self._targets[number]
        place = f"{target.registry.host}/{target.repository}  {_describe(blob)}"
        return watched(path.open("rb"), blob.size, lambda part: self._report(f"{place}  {part:.0%} sent"))

    def _tell_packed(self, size: int, part: float) -> None:
        self._report(f"{self._reference[7:19]}  a layer of {size / 1e6:.1f} MB, {part:.0%} compressed")

    def _finish(self, number: int, configuration: bytes, layers: Sequence[Blob]) -> Pushed:
        target = self._targets[number]
        config = Blob.of(configuration)
        self._send(number, config, partial(BytesIO, configuration))
        manifest = make_manifest(config, layers)
        size = config.size + sum(layer.size for layer in layers)
        return Pushed(target, give_tags(target, manifest), size, self._sent[number])


def make_manifest(config: Blob, layers: Sequence[Blob]) -> bytes:
    """A manifest of Docker schema 2, the same bytes for the same image (IMG-01, IMG-04)."""

    def describe(media_type: str, blob: Blob) -> dict[str, Any]:
        return {"mediaType": media_type, "size": blob.size, "digest": blob.digest}

    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(CONFIG, config),
        "layers": [describe(LAYER, layer) for layer in layers],
    }
    return json.dumps(manifest, indent=3).encode()


def give_tags(target: Target, manifest: bytes) -> str:
    """Give a manifest all tags of a target, and look at each; its digest.

    Raises:
        WorkError: SageMaker would refuse what the registry has now.
        ToolkitError: the registry refuses.
    """
    digest = Blob.of(manifest).digest
    for tag in target.tags:
        there = target.registry.get_manifest(target.repository, tag)
        # ECR refuses to give an immutable tag once more, to the same manifest too.
        if there is None or there.digest != digest:
            target.registry.put_manifest(target.repository, tag, MANIFEST, manifest)
        _check_there(target, tag, digest)
    return digest


def _check_there(target: Target, tag: str, digest: str) -> None:
    """Look at what the registry answers now (IMG-03).

    Raises:
        WorkError: another manifest than was sent, or one that SageMaker would refuse.
    """
    place = f"{target.registry.host}/{target.repository}:{tag}"
    found = target.registry.get_manifest(target.repository, tag)
    if found is None or found.digest != digest:
        what = found.digest if found else "nothing"
        raise WorkError(f"{place} is {what}, where {digest} was pushed.", "Push again.")
    refusals = find_refusals(found.media_type, found.body)
    if refusals:
        causes = " ".join(refusal.cause for refusal in refusals)
        raise WorkError(f"SageMaker would refuse {place}: {causes}", refusals[0].cure)


def _wait_for(jobs: Sequence[Future[None]], path: Path) -> None:
    for job in jobs:
        job.result()
    path.unlink()


def _describe(blob: Blob) -> str:
    return f"{blob.digest[7:19]}  {blob.size / 1e6:8.1f} MB"
