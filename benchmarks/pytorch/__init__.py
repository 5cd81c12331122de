"""PyTorch models behind our server and behind TorchServe, measured side by side."""
