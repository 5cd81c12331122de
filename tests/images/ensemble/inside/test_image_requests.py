"""Images, which opt_ml reads by Pillow: that stands here beside the test runner, and not in the image."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from opt_ml.errors import RequestError
from opt_ml.serving.codecs.images import FORMATS
from opt_ml.serving.defaults import decode_values
from PIL import Image

PIXELS = np.array(
    [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]], [[1, 2, 3], [4, 5, 6]]], dtype=np.uint8
)
LOSSLESS = {"image/png": "PNG", "image/bmp": "BMP", "image/tiff": "TIFF", "application/x-image": "PNG"}


def written(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def refusal(body: bytes, content_type: str, status: int = 400) -> str:
    with pytest.raises(RequestError) as error:
        decode_values(body, content_type)
    assert error.value.status == status
    assert "\n" not in error.value.message
    return error.value.message


@pytest.mark.parametrize("content_type", LOSSLESS)
def test_an_image_is_rows_of_pixels_of_red_green_and_blue(content_type):
    found = decode_values(written(Image.fromarray(PIXELS), LOSSLESS[content_type]), content_type)
    assert found.dtype == np.uint8
    assert np.array_equal(found, PIXELS)


def test_webp_without_loss_and_jpeg_are_read():
    image = Image.fromarray(PIXELS)
    assert np.array_equal(decode_values(written(image, "WEBP", lossless=True), "image/webp"), PIXELS)
    for content_type in ("image/jpeg", "image/jpg", "application/x-image"):
        assert decode_values(written(image, "JPEG"), content_type).shape == PIXELS.shape


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1"])
def test_grey_transparent_and_palette_images_have_three_channels_too(mode):
    assert decode_values(written(Image.new(mode, (4, 3)), "PNG"), "image/png").shape == (3, 4, 3)


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    body = written(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_values(body, "image/gif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("content_type", FORMATS)
@pytest.mark.parametrize("body", [b"", b"1,2,3", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\x00"])
def test_a_body_that_is_no_image_is_400(content_type, body):
    assert content_type in refusal(body, content_type)


def test_an_image_of_another_type_than_was_said_and_a_cut_one_are_400():
    body = written(Image.new("RGB", (300, 300)), "PNG")
    refusal(body, "image/jpeg")
    refusal(body[:-100], "image/png")


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8200, 12_000, 60_000, 2**31 - 1])
def test_an_image_of_too_many_pixels_is_413_before_it_is_decoded(side):
    assert "pixels" in refusal(png_header(side, side), "image/png", 413)


def test_a_model_of_numbers_in_columns_refuses_images():
    from opt_ml.serving.codecs import decode_table

    with pytest.raises(RequestError) as error:
        decode_table(written(Image.new("RGB", (2, 2)), "PNG"), "image/png")
    assert error.value.status == 415
