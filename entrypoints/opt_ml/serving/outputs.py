"""What an answer holds: asked for by the Accept parameter `output`, else by a variable, else by the training.

    Accept: application/json; output=probabilities

A variable, because batch transform cannot send Accept parameters everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from opt_ml.errors import RequestError, UserError
from opt_ml.serving.codecs import ENCODABLE, MediaType, choose_accept

DEFAULT_ACCEPT = "text/csv"  # as SageMaker's own XGBoost answers; batch transform joins its lines


def default_output(variable: str, allowed: Sequence[str], trained_with: str) -> str:
    """What an answer holds that nobody asked for otherwise.

    Args:
        variable: name of the environment variable.
        allowed: what the model can give.
        trained_with: where the variable is not set.

    Raises:
        UserError: the variable asks for what the model cannot give.
    """
    output = os.environ.get(variable, "").strip().lower() or trained_with
    if output not in allowed:
        raise UserError(f"{variable} is {output!r}; this model can give: {', '.join(allowed)}.")
    return output


def choose_output(accept: str, allowed: Sequence[str], default: str) -> tuple[MediaType, str]:
    """The type of an answer and what it holds.

    Raises:
        RequestError: 406 for an unknown type, 400 for an output that the model cannot give.
    """
    media_type = choose_accept(accept, ENCODABLE, DEFAULT_ACCEPT)
    output = media_type.parameters.get("output", default).lower()
    if output not in allowed:
        raise RequestError(
            400,
            f"Accept asks for output={output[:100]}, which this model cannot give. "
            f"Use one of: {', '.join(allowed)}.",
        )
    return media_type, output
