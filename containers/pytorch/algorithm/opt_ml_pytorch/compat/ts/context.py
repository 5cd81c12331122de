"""TorchServe's context, for type annotations of handlers."""

from opt_ml_pytorch.torchserve.context import ArchiveContext as Context

__all__ = ["Context"]
