"""The AutoGluon image beside the bare predictor, and beside the same predictor behind gunicorn."""
