"""A person's use of SDK 3 in local mode; run by its Python: `model_trainer.py REQUEST.json RESULT.json`.

The request's keys: `trainer` (keyword arguments), `source_code` (or none), `instances`, `channels` (name to
directory). Nothing is caught: the SDK's own errors end the script.
"""

import json
import sys
from pathlib import Path

from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.model_trainer import Mode


def main(request, result):
    source_code = request.get("source_code")
    trainer = ModelTrainer(
        role="arn:aws:iam::000000000000:role/nobody",
        training_mode=Mode.LOCAL_CONTAINER,
        base_job_name="a-job",
        source_code=SourceCode(**source_code) if source_code else None,
        compute=Compute(instance_type="local_cpu", instance_count=request.get("instances", 1)),
        input_data_config=[
            InputData(channel_name=name, data_source=directory)
            for name, directory in request["channels"].items()
        ],
        **request["trainer"],
    )
    trainer.train()
    result.write_text("{}")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
