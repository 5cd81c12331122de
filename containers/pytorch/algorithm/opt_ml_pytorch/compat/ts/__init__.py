"""The parts of TorchServe that handlers import; see `opt_ml_pytorch.compat`."""

__version__ = "0.12.0"
