"""`sagemaker_huggingface_inference_toolkit.decoder_encoder`: bodies to what pipelines take, and back.

Pictures need Pillow in the image.
"""

from __future__ import annotations

import base64
import csv
import datetime
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from opt_ml.errors import RequestError
from opt_ml.serving.codecs import images
from opt_ml.serving.compat.array_codecs import UnsupportedFormatError, read_npy, write_npy
from opt_ml.serving.compat.sagemaker_huggingface_inference_toolkit import content_types

_HEADERS = ("question", "context", "inputs")


def decode(content: Any, content_type: str = content_types.JSON) -> Any:
    """What a pipeline takes: JSON as it is, an array of NPY, and for the other types a dict with `inputs`.

    Raises:
        UnsupportedFormatError: another type than JSON, CSV, NPY, those of pictures and those of sound.
        RequestError: CSV without a header, or a picture that cannot be read.
        ValueError: JSON or NPY that is damaged.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == content_types.JSON:
        return decode_json(content)
    if kind == content_types.CSV:
        return decode_csv(content)
    if kind == content_types.NPY:
        return read_npy(content)
    if kind in content_types.VISION_TYPES:
        return {"inputs": _picture(content, kind)}
    if kind in content_types.AUDIO_TYPES:
        return decode_audio(content)
    raise UnsupportedFormatError(content_type)


def encode(content: Any, accept_type: str = content_types.JSON) -> Any:
    """The body of an answer.

    Raises:
        UnsupportedFormatError: another type than JSON, CSV, NPY and those of pictures.
        ValueError: NaN or infinity in JSON, or objects in NPY.
    """
    if accept_type == content_types.JSON:
        return encode_json(content)
    if accept_type == content_types.CSV:
        return encode_csv(content)
    if accept_type == content_types.NPY:
        return write_npy(content)
    if accept_type in content_types.VISION_TYPES:
        return encode_image(content, accept_type)
    raise UnsupportedFormatError(accept_type)


def decode_json(content: str | bytes) -> Any:
    """The JSON value."""
    return json.loads(content)


def decode_csv(string_like: str | bytes) -> dict[str, list[Any]]:
    """`inputs`: the texts of the column of that name, else a dict of each row.

    Raises:
        RequestError: 400 for a first line without a column of a pipeline.
    """
    text = string_like if isinstance(string_like, str) else string_like.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    header = text.partition("\n")[0].lower()
    if not rows or not any(name in header for name in _HEADERS):
        raise RequestError(400, f"CSV needs a first line with the names {', '.join(_HEADERS)}, and a row.")
    return {"inputs": [row["inputs"] for row in rows] if "inputs" in rows[0] else rows}


def decode_image(bpayload: bytes) -> dict[str, Any]:
    """`inputs`: the picture of any format, in RGB."""
    return {"inputs": _picture(bpayload, content_types.X_IMAGE)}


def decode_audio(bpayload: bytes) -> dict[str, bytes]:
    """`inputs`: the file."""
    return {"inputs": bytes(bpayload)}


def encode_json(content: Any, accept_type: str | None = None) -> str:
    """JSON of arrays, numbers of NumPy, times and pictures, too."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def encode_csv(content: Iterable[Mapping[str, Any]], accept_type: str | None = None) -> str:
    """A header, and a line for each dict."""
    rows = list(content)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, rows[0].keys() if rows else ())
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def encode_image(image: Any, accept_type: str = content_types.PNG) -> bytes:
    """The file of a Pillow picture."""
    kind = "PNG" if accept_type == content_types.X_IMAGE else accept_type.rpartition("/")[2].upper()
    stream = io.BytesIO()
    image.save(stream, format=kind)
    return stream.getvalue()


def _picture(body: bytes, kind: str) -> Any:
    pixels = images.decode_image(
        bytes(body), "application/x-image" if kind == content_types.X_IMAGE else kind
    )
    from PIL import Image  # optional; where it is missing, `decode_image` has said so

    return Image.fromarray(pixels)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, datetime.datetime):
        return str(value)
    if hasattr(value, "save"):  # a picture
        return base64.b64encode(encode_image(value)).decode()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
