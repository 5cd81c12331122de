"""The part of `sagemaker-inference` that a user's handler imports; see `opt_ml.serving.compat`."""
