"""The part of `sagemaker-containers` that a user's handler imports; see `opt_ml.serving.compat`."""
