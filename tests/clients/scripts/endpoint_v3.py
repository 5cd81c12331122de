"""An endpoint and a transform job of SDK 3 in local mode: `endpoint_v3.py REQUEST.json RESULT.json`.

The request's keys: `config` (of the session), `container` (of CreateModel), `predict` (calls with a
`serializer`, a `deserializer` and `data`), `calls` (of `invoke_endpoint`, with a text as Body) and
`transform` (keyword arguments of a Transformer, `job` those of its job) where wanted. What the client
raises at a call is noted as `error`; nothing else is caught.
"""

import json
import sys
from pathlib import Path

import numpy
from sagemaker.core import deserializers, serializers
from sagemaker.core.local.local_session import LocalSession
from sagemaker.core.transformer import Transformer

NAME = "an-endpoint"


def noted(call, asked):
    """What `call` returns, or what the client says of its failure."""
    try:
        return {"value": call(asked)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main(request, result):
    session = LocalSession(default_bucket="default-bucket")
    session.config = {"local": request["config"]}
    client, runtime = session.sagemaker_client, session.sagemaker_runtime_client

    def predict(asked):
        serializer = getattr(serializers, asked["serializer"])()
        deserializer = getattr(deserializers, asked["deserializer"])()
        answer = runtime.invoke_endpoint(
            EndpointName=NAME,
            Body=serializer.serialize(numpy.array(asked["data"]) if asked.get("array") else asked["data"]),
            ContentType=serializer.CONTENT_TYPE,
            Accept=", ".join(deserializer.ACCEPT),
        )
        value = deserializer.deserialize(answer["Body"], answer["ContentType"])
        return value.tolist() if hasattr(value, "tolist") else value

    def invoke(asked):
        answer = runtime.invoke_endpoint(EndpointName=NAME, **{**asked, "Body": asked["Body"].encode()})
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        return {"type": answer["ContentType"], "status": status, "body": answer["Body"].read().decode()}

    client.create_model("a-model", request["container"])
    variant = {"VariantName": "AllTraffic", "ModelName": "a-model", "InstanceType": "local"}
    client.create_endpoint_config("a-config", [{**variant, "InitialInstanceCount": 1}])
    client.create_endpoint(NAME, "a-config")
    try:
        predictions = [noted(predict, asked) for asked in request.get("predict", [])]
        calls = [noted(invoke, asked) for asked in request.get("calls", [])]
    finally:
        client.delete_endpoint(NAME)
    if batch := request.get("transform"):
        job = batch.pop("job")
        transformer = Transformer("a-model", 1, "local", sagemaker_session=session, **batch)
        transformer.transform(wait=False, logs=False, **job)
    result.write_text(json.dumps({"predictions": predictions, "calls": calls}))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
