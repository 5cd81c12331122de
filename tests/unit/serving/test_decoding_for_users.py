"""What a user's predict_fn receives where there is no input_fn (HANDLER-08), and images."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from opt_ml.errors import RequestError
from opt_ml.serving.defaults import decode_values


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.contract("HANDLER-08")
@pytest.mark.parametrize(
    ("body", "content_type", "shape"),
    [
        (b"1,2,3\n4,5,6\n", "text/csv", (2, 3)),
        (b"[1, 2]", "application/json", (1, 2)),
        (b"[[1, 2], [3, 4]]", "application/json", (2, 2)),
        (b"[[ [1, 2], [3, 4] ]]", "application/json; charset=utf-8", (1, 2, 2)),
        (b'{"instances": [[[[1], [2]]]]}', "application/json", (1, 1, 2, 1)),
        (npy(np.ones((2, 3))), "application/x-npy", (2, 3)),
        (npy(np.ones((2, 3, 8, 8), dtype=np.float32)), "application/x-npy", (2, 3, 8, 8)),
    ],
)
def test_the_default_input_fn_keeps_the_dimensions_of_arrays(body, content_type, shape):
    assert decode_values(body, content_type).shape == shape


@pytest.mark.parametrize(
    "body", [b"[[[1], [2, 3]]]", b'[[["a"]]]', b"[[[]]]", b"[[[1]]", b"[" * 900 + b"]" * 900]
)
def test_lists_that_are_no_array_are_400(body):
    with pytest.raises(RequestError) as error:
        decode_values(body, "application/json")
    assert error.value.status == 400


@pytest.mark.contract("HANDLER-10")
@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "application/x-image"])
def test_an_image_without_pillow_is_415_that_names_it(monkeypatch, content_type):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(RequestError, match="Pillow") as error:
        decode_values(b"\x89PNG", content_type)
    assert error.value.status == 415
