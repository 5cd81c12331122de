"""`train`: one training job, from /opt/ml/input to /opt/ml/model."""
