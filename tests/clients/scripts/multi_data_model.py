"""SDK 2's MultiDataModel in local mode: `multi_data_model.py REQUEST.json RESULT.json`.

The request's keys: `config` (of the session), `bucket` (to be made), `model` (keyword arguments), `archives`
(name to a file of this machine) and `targets` (names to predict with). The result: what the SDK lists, and
the answers.
"""

import json
import sys
from pathlib import Path

import boto3
from sagemaker.local import LocalSession
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.predictor import Predictor


def main(request, result):
    region = boto3.session.Session().region_name
    boto3.client("s3").create_bucket(
        Bucket=request["bucket"], CreateBucketConfiguration={"LocationConstraint": region}
    )
    session = LocalSession(default_bucket=request["bucket"])
    session.config = {"local": request["config"]}
    models = MultiDataModel(
        "many",
        f"s3://{request['bucket']}/many",
        role="arn:aws:iam::000000000000:role/nobody",
        sagemaker_session=session,
        predictor_cls=Predictor,
        **request["model"],
    )
    for name, path in request["archives"].items():
        models.add_model(path, name)
    predictor = models.deploy(1, "local", endpoint_name="an-endpoint", wait=False)
    try:
        answers = [predictor.predict(b"1", target_model=name).decode() for name in request["targets"]]
    finally:
        predictor.delete_endpoint()
    result.write_text(json.dumps({"listed": sorted(models.list_models()), "answers": answers}))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
