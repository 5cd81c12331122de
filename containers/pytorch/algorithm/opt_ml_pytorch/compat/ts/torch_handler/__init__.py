"""As in TorchServe; the handlers of pictures, which need torchvision, are left out."""
