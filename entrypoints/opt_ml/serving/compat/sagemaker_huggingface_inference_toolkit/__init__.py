"""The part of `sagemaker-huggingface-inference-toolkit` that handlers import; see `opt_ml.serving.compat`."""
