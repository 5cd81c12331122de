"""The WSGI application of AWS's scikit-learn container, which is not on PyPI, over its toolkit, which is.

Laid out like `sagemaker_sklearn_container/serving.py`: the user's module becomes a Transformer, the Flask
application is made and the model loaded at the first request of each gunicorn worker.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from sagemaker_containers.beta.framework import env, modules, transformer, worker

app = None


def _transformer(module_name: str, module_dir: str) -> Any:
    try:
        user_module = importlib.import_module(module_name)
    except ImportError:
        user_module = modules.import_module(module_dir, module_name)
    names = ("model_fn", "input_fn", "predict_fn", "output_fn")
    functions = {name: getattr(user_module, name) for name in names if hasattr(user_module, name)}
    made = transformer.Transformer(**functions)
    made.initialize()
    return made


def main(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """What gunicorn calls."""
    global app
    if app is None:
        serving_env = env.ServingEnv()
        made = _transformer(serving_env.module_name, serving_env.module_dir)
        app = worker.Worker(transform_fn=made.transform, module_name=serving_env.module_name)
    answer: Iterable[bytes] = app(environ, start_response)
    return answer
