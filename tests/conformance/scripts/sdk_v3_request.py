"""What SDK 3 would send to SageMaker; run by its Python: `sdk_v3_request.py REQUEST.json RESULT.json`.

The request's keys: `source_code`, `hyperparameters`, and `drivers`, where the channel `sm_drivers` shall be
put (the SDK removes its own). The result is the CreateTrainingJob request. Local mode is asked for because
then no S3 is: the channels name directories of this machine.
"""

import json
import shutil
import sys
from pathlib import Path

from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.model_trainer import Mode


def main(request, result):
    drivers = Path(request["drivers"])
    trainer = ModelTrainer(
        role="arn:aws:iam::000000000000:role/nobody",
        training_mode=Mode.LOCAL_CONTAINER,
        training_image="any",
        source_code=SourceCode(**request["source_code"]),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters=request["hyperparameters"],
        local_container_root=str(drivers.parent),
    )
    sent = trainer._create_training_job_args(boto3=True)
    for channel in sent["InputDataConfig"]:
        if channel["ChannelName"] == "sm_drivers":
            source = channel["DataSource"]["FileSystemDataSource"]["DirectoryPath"]
            shutil.copytree(source, drivers)
    result.write_text(json.dumps(sent, default=str))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
