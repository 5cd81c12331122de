"""A person's endpoint with SDK 2 in local mode; run by its Python: `endpoint.py REQUEST.json RESULT.json`.

The request's keys: `config` (of the session), `model` (keyword arguments of Model), `predict` (calls of a
Predictor: `serializer`, `deserializer` and `data`) and `calls` (of the local session's `invoke_endpoint`:
`body`, `content_type`, and `accept` where it is wanted). What the client raises at a call is noted as
`error`; nothing else is caught.
"""

import json
import sys
from pathlib import Path

import numpy
from sagemaker import deserializers, serializers
from sagemaker.local import LocalSession
from sagemaker.model import Model
from sagemaker.predictor import Predictor


def noted(call):
    """What `call` returns, or what the client says of its failure."""
    try:
        return {"value": call()}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def predicted(name, session, asked):
    predictor = Predictor(
        name,
        session,
        serializer=getattr(serializers, asked["serializer"])(),
        deserializer=getattr(deserializers, asked["deserializer"])(),
    )
    value = predictor.predict(numpy.array(asked["data"]) if asked.get("array") else asked["data"])
    return value.tolist() if hasattr(value, "tolist") else value


def invoked(name, session, asked):
    answer = session.sagemaker_runtime_client.invoke_endpoint(
        EndpointName=name,
        Body=asked["body"].encode(),
        ContentType=asked["content_type"],
        **({"Accept": asked["accept"]} if "accept" in asked else {}),
    )
    return {"type": answer.get("ContentType"), "body": answer["Body"].read().decode()}


def main(request, result):
    session = LocalSession(default_bucket="default-bucket")
    session.config = {"local": request["config"]}
    model = Model(role="arn:aws:iam::000000000000:role/nobody", sagemaker_session=session, **request["model"])
    model.deploy(1, "local", endpoint_name="an-endpoint", wait=False)
    try:
        answer = {
            "predictions": [
                noted(lambda asked=asked: predicted("an-endpoint", session, asked))
                for asked in request.get("predict", [])
            ],
            "calls": [
                noted(lambda asked=asked: invoked("an-endpoint", session, asked))
                for asked in request.get("calls", [])
            ],
        }
    finally:
        Predictor("an-endpoint", session).delete_endpoint()
    result.write_text(json.dumps(answer))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
