"""What `train` does where a job names no program: it says what is missing."""

from __future__ import annotations

from opt_ml.environment import Environment
from opt_ml.errors import UserError


def train(environment: Environment) -> None:
    """End the job with the way to name a program.

    Raises:
        UserError: always.
    """
    raise UserError(
        "This image trains by your script, and the job names none. Set entry_point and source_dir (SDK), or "
        "the hyperparameters sagemaker_program and sagemaker_submit_directory."
    )
