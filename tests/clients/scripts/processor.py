"""A processing job of SDK 2 in local mode; run by the SDK's Python: `processor.py REQUEST.json RESULT.json`.

The request's keys: `config` (of the session), `processor` (keyword arguments), `input` (a directory),
`output` (an S3 address).
"""

import json
import sys
from pathlib import Path

from sagemaker.local import LocalSession
from sagemaker.processing import ProcessingInput, ProcessingOutput, Processor


def main(request, result):
    session = LocalSession(default_bucket="default-bucket")
    session.config = {"local": request["config"]}
    processor = Processor(
        role="arn:aws:iam::000000000000:role/nobody",
        instance_type="local",
        instance_count=1,
        sagemaker_session=session,
        **request["processor"],
    )
    processor.run(
        inputs=[ProcessingInput(request["input"], "/opt/ml/processing/input")],
        outputs=[ProcessingOutput("/opt/ml/processing/output", destination=request["output"])],
    )
    result.write_text("{}")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
