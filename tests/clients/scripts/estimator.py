"""A person's use of SDK 2 in local mode; run by the SDK's Python: `estimator.py REQUEST.json RESULT.json`.

The request's keys: `config` (of the session), `estimator` and `fit` (keyword arguments); `deploy` (rows to
predict) and `transform` (a CSV file and where the answers go) where wanted. Nothing is caught: the SDK's
own errors end the script.
"""

import json
import sys
from pathlib import Path

from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.serializers import CSVSerializer


def main(request, result):
    session = LocalSession(default_bucket="default-bucket")
    session.config = {"local": request["config"]}
    estimator = Estimator(
        role="arn:aws:iam::000000000000:role/nobody",
        instance_type="local",
        sagemaker_session=session,
        **request["estimator"],
    )
    estimator.fit(**request["fit"])
    answer = {"model_data": estimator.model_data}
    if rows := request.get("deploy"):
        # Local mode has waited for /ping; what `wait` adds is a look at the status after 30 s.
        predictor = estimator.deploy(1, "local", serializer=CSVSerializer(), wait=False)
        try:
            answer["predictions"] = predictor.predict(rows).decode()
        finally:
            predictor.delete_endpoint()
    if batch := request.get("transform"):
        transformer = estimator.transformer(
            1, "local", strategy="MultiRecord", output_path=batch["output"], assemble_with="Line"
        )
        transformer.transform(
            batch["input"], content_type="text/csv", split_type="Line", wait=False, logs=False
        )
    result.write_text(json.dumps(answer))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
