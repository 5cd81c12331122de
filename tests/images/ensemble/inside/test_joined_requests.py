"""Requests that are predicted together get what each would get alone."""

from __future__ import annotations

import pytest
from opt_ml.errors import RequestError
from opt_ml_ensemble import handler

COLUMNS = ["size", "colour", "code", "always", "nothing", "id"]
REQUESTS = [
    ("12,red,1,1,,a\n", "text/csv", "*/*"),
    ("code,size\n2,50\n", "text/csv; header=present", "application/json; output=models"),
    ("12,red,1,1,,a\n", "text/csv", "text/csv; output=models"),
    ("a,b,c\n", "text/csv", "*/*"),
    ('{"size": 51.5, "colour": "blue", "code": 3}', "application/json", "application/json"),
    ("30,,2,1,,x\n70,green,4,1,,y\n55,blue,1,1,,z\n", "text/csv", "*/*"),
]


@pytest.mark.parametrize("label", ["price", "dear", "band"])
def test_together_is_as_alone(job, mixed, label):
    job.file("train", "rows.csv", mixed[[*COLUMNS, label]]).run()
    model = handler.model_fn(str(job.base / "model"))
    data = [handler.input_fn(body.encode(), content_type) for body, content_type, _ in REQUESTS]
    together = handler.predict_batch_fn(data, model)
    assert len(together) == len(REQUESTS)
    refused = 0
    for (_, _, accept), one, prediction in zip(REQUESTS, data, together, strict=True):
        if isinstance(prediction, RequestError):
            with pytest.raises(RequestError) as alone:
                handler.predict_fn(one, model)
            assert alone.value.message == prediction.message
            refused += 1
        else:
            expected = handler.output_fn(handler.predict_fn(one, model), accept)
            assert handler.output_fn(prediction, accept) == expected
    assert refused == 2  # letters for numbers, and a table without all columns
    assert [str(error) for error in handler.predict_batch_fn([data[3], data[3]], model)] == [
        str(together[3])
    ] * 2
