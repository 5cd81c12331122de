"""A SageMaker tuning job on this machine: training jobs, one after the other, each wiser."""
