"""As in TorchServe."""
