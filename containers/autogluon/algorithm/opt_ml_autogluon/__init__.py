"""AutoGluon behind `train` and `serve`."""
