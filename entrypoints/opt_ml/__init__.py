"""What runs inside every image: `train` and `serve`, by the SageMaker container contract."""

__version__ = "0.1.0"
