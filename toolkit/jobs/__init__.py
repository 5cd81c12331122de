"""A SageMaker training job on this machine: what it asks for, its /opt/ml, its hosts, how it ends."""
