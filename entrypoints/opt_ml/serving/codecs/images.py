"""Images to arrays, by Pillow where the image of the container holds it."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from opt_ml.errors import RequestError

FORMATS = {
    "image/png": ("PNG",),
    "image/jpeg": ("JPEG", "MPO"),  # MPO: a JPEG with further pictures in it, as some cameras write
    "image/jpg": ("JPEG", "MPO"),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/bmp": ("BMP",),
    "image/tiff": ("TIFF",),
    "application/x-image": ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF"),
}
"""Media type to Pillow's names of what it may hold; `application/x-image` is SageMaker's own, for any."""

MOST_PIXELS = 1 << 26
"""Of one image: 200 MB as RGB. A few kilobytes can claim billions."""


def decode_image(body: bytes, name: str) -> NDArray[np.uint8]:
    """One image as RGB.

    Args:
        body: the file.
        name: its media type, one of `FORMATS`.

    Returns:
        shape (height, width, 3), uint8, as stored: neither scaled nor turned by its EXIF orientation.
        Grey becomes three equal channels, transparency is left out, and of an animation the first frame
        is taken.

    Raises:
        RequestError: 415 where the container's image holds no Pillow; 413 for more than MOST_PIXELS; 400
            for a file that is damaged or of another format.
    """
    try:
        from PIL import Image  # optional
    except ImportError:
        raise RequestError(
            415, f"This image cannot read {name}: Pillow is not installed. Name it in code/requirements.txt."
        ) from None
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS[name]) as image:  # reads the header only
            if image.width * image.height > MOST_PIXELS:
                raise _too_large()
            return np.asarray(image.convert("RGB"))
    except RequestError:
        raise
    except Image.DecompressionBombError:  # Pillow's own limit, which is higher
        raise _too_large() from None
    except Exception as error:  # a decoder raises whatever a broken file trips over
        cause = type(error).__name__ if "BytesIO" in str(error) else " ".join(str(error).split())[:200]
        raise RequestError(400, f"The body is not a readable {name} ({cause}).") from None


def _too_large() -> RequestError:
    return RequestError(413, f"The image has more than {MOST_PIXELS} pixels. Send a smaller one.")
