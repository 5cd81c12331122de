"""Our codecs against SDK 2's serializers and deserializers, which know nothing of them."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from opt_ml.serving.codecs import decode_table, encode_columns, parse_media_type

from tests.clients.artifacts import SCRIPTS
from tests.sdks import Sdk

ROWS = [[1.5, -2.25, 3e30], [0.1, 0, -7]]
LABELS = {
    "probability": np.array([0.25, 0.5], dtype=np.float32),
    "prediction": np.array([0.1, 1e300]),
    "class": np.array([2, -3]),
    "name": np.array(["setosa", "\xe9"], dtype=object),
}


@pytest.mark.contract("HOST-56", "HOST-58")
def test_what_the_sdk_serializes_is_the_same_table_and_it_reads_our_records(sdk_v2: Sdk) -> None:
    body, _ = encode_columns(LABELS, parse_media_type("application/x-recordio-protobuf"))
    request = {"rows": ROWS, "answer": base64.b64encode(body).decode()}
    outcome = sdk_v2.run(SCRIPTS / "serializers.py", request)
    assert outcome.exit_code == 0, outcome.log
    for name, (content_type, sent) in outcome.result["sent"].items():
        found = decode_table(base64.b64decode(sent), content_type).values
        expected = np.array(
            ROWS, dtype=np.float64 if "float64" in name or "records" not in name else np.float32
        )
        assert np.array_equal(found, expected), name
    assert len(outcome.result["sent"]) == 7
    first, second = outcome.result["read"]
    assert first == {
        "probability": ["float32_tensor", [0.25]],
        "prediction": ["float64_tensor", [0.1]],
        "class": ["int32_tensor", [2]],
        "name": ["bytes", ["setosa"]],
    }
    assert (second["name"], second["class"]) == (["bytes", ["\xe9"]], ["int32_tensor", [-3]])
