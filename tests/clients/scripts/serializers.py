"""What SDK 2's predictors send and read; run by the SDK's Python: `serializers.py REQUEST.json RESULT.json`.

The request's keys: `rows` (a list of lists), `answer` (a recordio-protobuf body, base64). The result: for
each serializer its content type and body, and what RecordDeserializer makes of the answer.
"""

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
from sagemaker.amazon.common import RecordDeserializer, RecordSerializer, write_numpy_to_dense_tensor
from sagemaker.serializers import CSVSerializer, JSONLinesSerializer, JSONSerializer, NumpySerializer


def main(request, result):
    rows = request["rows"]
    bodies = {
        "csv": (CSVSerializer(), rows),
        "json": (JSONSerializer(), rows),
        "json lines": (JSONLinesSerializer(), [{"features": row} for row in rows]),
        "npy": (NumpySerializer(), np.array(rows)),
        "records of float32": (RecordSerializer(), np.array(rows, dtype=np.float32)),
        "records of float64": (RecordSerializer(), np.array(rows)),
    }
    sent = {
        name: (serializer.CONTENT_TYPE, serializer.serialize(data))
        for name, (serializer, data) in bodies.items()
    }
    labelled = io.BytesIO()
    write_numpy_to_dense_tensor(labelled, np.array(rows, dtype=np.float32), np.arange(len(rows)))
    sent["records with labels"] = (RecordSerializer().CONTENT_TYPE, labelled.getvalue())
    answer = io.BytesIO(base64.b64decode(request["answer"]))
    records = RecordDeserializer().deserialize(answer, RecordSerializer().CONTENT_TYPE)
    result.write_text(
        json.dumps(
            {
                "sent": {
                    name: (kind, base64.b64encode(as_bytes(body)).decode())
                    for name, (kind, body) in sent.items()
                },
                "read": [{name: values(value) for name, value in record.label.items()} for record in records],
            }
        )
    )


def as_bytes(body):
    return body.encode() if isinstance(body, str) else body.read() if hasattr(body, "read") else body


def values(value):
    kind = value.WhichOneof("value")
    if kind == "bytes":
        return kind, [text.decode() for text in value.bytes.value]
    return kind, list(getattr(value, kind).values)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
