"""The functions that answer a request: the user's inference.py, else the image's built-in, else a default.

| function | default |
|---|---|
| `model_fn(model_dir: str)` | none: it must come from the user or the image |
| `pre_model_fn(model_dir)`, `model_warmup_fn(model_dir, model)` | none; before and after `model_fn` |
| `input_fn(body, content_type)` | `defaults.decode_values`, an array; see also `defaults.decode_inputs` |
| `predict_fn(data, model)` | `model.predict(data)`, or `model(data)` |
| `output_fn(prediction, accept)` | see `defaults.encode_prediction` |
| `predict_batch_fn(data: list, model)` | none; see below |
| `transform_fn(model, body, content_type, accept)` | none; it takes the place of the three above |
| `chat_fn(request: dict, model)` | none; chat completions, see `serving.chat` |
| `bidirectional_fn(stream, model)` | none; a coroutine function, see `serving.bidirectional.stream` |

`predict_batch_fn` says that the handler can predict several requests at once: it gets the result of
`input_fn` of each, and returns as many predictions in the same order. One of them may be an exception,
which then is the answer to that request alone. Requests that arrive at once or while the worker is busy are
joined; none is kept waiting for others to come, but for a few milliseconds after a call of several
(`company`).

Each function may take `context` as one argument more (HANDLER-05); see `serving.context`.

Each may be a coroutine function. A handler that has one (besides model_fn) may get several requests at
once: while one awaits, a worker goes on with others, up to SAGEMAKER_MODEL_SERVER_CONCURRENCY of them. What
computes for long belongs into a thread, or into a handler that is not async.

`transform_fn`, `output_fn` and `predict_fn` may be generators, asynchronous ones too, or return one, or
(iterator, content type): the answer is streamed, part by part; see `serving.streams`. The first part comes
before the status is sent, so an error until then is an answer like any other; after that the connection is
broken off (HOST-68). A client that goes away closes the generator, at its next `yield`. What predict_fn
yields goes to the user's output_fn as the iterator that it is, to loop over; without one each part is sent.

A user's function that is absent falls back to the image's, except beside a `model_fn` of the user's: an
image's steps know the image's own model only, unless its module says `fits_any_model = True`; so then it
falls back to the default, and an image that chooses a module by the model is not asked, which would import
its frameworks. `output_fn` and `transform_fn` return bytes, str, (body, content type), or a response object
as Flask has it. What AWS's discontinued packages offer to handlers can be imported without them; see
`serving.compat`.

Rules for what a user's own function receives, as in the AWS toolkits:
`body` is str for text types and bytes otherwise (HANDLER-07); a missing Content-Type is
`application/json`, and a missing or `*/*` Accept is `application/json` (HANDLER-11), or
SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT. The image's functions always get bytes, `application/octet-stream`
and `*/*` in these cases, and decide by themselves (HOST-57).
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from opt_ml.algorithm import find_built_in
from opt_ml.errors import UserError
from opt_ml.serving import compat, defaults

_ARGUMENTS = {
    "pre_model_fn": ("model_dir",),
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model_dir", "model"),
    "input_fn": ("body", "content_type"),
    "predict_fn": ("data", "model"),
    "predict_batch_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
    "transform_fn": ("model", "body", "content_type", "accept"),
    "chat_fn": ("request", "model"),
    "bidirectional_fn": ("stream", "model"),
}
_STEPS = ("input_fn", "predict_fn", "predict_batch_fn", "output_fn")


@dataclass(frozen=True)
class Function:
    """One function of a handler.

    Attributes:
        is_users: the user wrote it.
        takes_context: it takes a context as one argument more.
        is_async: it is a coroutine function or an asynchronous generator function.
    """

    call: Callable[..., Any]
    is_users: bool = False
    takes_context: bool = False
    is_async: bool = False


@dataclass(frozen=True)
class Handler:
    """All functions of a model. `transform_fn` is None where the steps are used.

    `predict_batch_fn` is the partner of `predict_fn`: None where the two would come from different hands.
    """

    model_fn: Function
    input_fn: Function
    predict_fn: Function
    output_fn: Function
    transform_fn: Function | None = None
    predict_batch_fn: Function | None = None
    pre_model_fn: Function | None = None
    model_warmup_fn: Function | None = None
    chat_fn: Function | None = None
    bidirectional_fn: Function | None = None

    @property
    def wants_headers(self) -> bool:
        """True where a function takes a context, which holds the request's headers."""
        return any(function.takes_context for function in self._steps())

    @property
    def is_async(self) -> bool:
        """True where a worker may answer several requests at once: while one awaits, another goes on."""
        if self.predict_batch_fn is not None:
            return False  # requests wait to be predicted together
        once = (self.model_fn, self.pre_model_fn, self.model_warmup_fn)
        return any(function.is_async for function in self._steps() if function not in once)

    def _steps(self) -> Iterator[Function]:
        """What a request to /invocations may meet."""
        for field in fields(self):
            function = getattr(self, field.name)
            if function is not None and function is not self.bidirectional_fn:
                yield function


def load_handler(model_dir: Path) -> Handler:
    """The handler for the model in `model_dir` (HANDLER-01 to HANDLER-04).

    Raises:
        UserError: a handler file that is named but absent, a function that is missing, not callable or
            of other arguments, or transform_fn beside one of the three that it replaces.
        Exception: whatever the user's module raises when it is imported.
    """
    path, code_dir = find_program(model_dir)
    users = _functions(import_program(path, code_dir), str(path), True) if path else {}
    built_in = find_built_in("opt_ml.handler")
    if "model_fn" in users and not getattr(built_in, "fits_any_model", False):
        built_in = None
    elif callable(built_in):
        built_in = built_in(model_dir)
    images = _functions(built_in, "the image's handler", False) if built_in is not None else {}
    model_fn = users.get("model_fn") or images.get("model_fn")
    if model_fn is None:
        raise UserError(_no_model_fn(model_dir, path))
    if "transform_fn" in users or not _has_steps(users):
        transform_fn = users.get("transform_fn") or images.get("transform_fn")
    else:
        transform_fn = None
    return Handler(
        model_fn=model_fn,
        input_fn=users.get("input_fn") or images.get("input_fn") or _default_input_fn(users),
        predict_fn=users.get("predict_fn") or images.get("predict_fn") or Function(defaults.predict),
        output_fn=users.get("output_fn") or images.get("output_fn") or Function(defaults.encode_prediction),
        transform_fn=transform_fn,
        predict_batch_fn=None if transform_fn else _partner(users, images),
        pre_model_fn=users.get("pre_model_fn") or images.get("pre_model_fn"),
        model_warmup_fn=users.get("model_warmup_fn") or images.get("model_warmup_fn"),
        chat_fn=users.get("chat_fn") or (None if _has_steps(users) else images.get("chat_fn")),
        bidirectional_fn=users.get("bidirectional_fn") or images.get("bidirectional_fn"),
    )


def _has_steps(functions: Mapping[str, Function]) -> bool:
    return any(name in functions for name in (*_STEPS, "transform_fn"))


def _default_input_fn(users: Mapping[str, Function]) -> Function:
    return Function(defaults.decode_inputs if "predict_fn" in users else defaults.decode_values)


def _partner(users: Mapping[str, Function], images: Mapping[str, Function]) -> Function | None:
    """The `predict_batch_fn` that goes with the `predict_fn` in use."""
    if "predict_fn" in users or "predict_batch_fn" in users:
        return users.get("predict_batch_fn")
    return images.get("predict_batch_fn")


def find_program(model_dir: Path) -> tuple[Path | None, Path]:
    """The user's handler file, None where the model brings none, and the directory of the user's code.

    That is code/ of the model. Where SAGEMAKER_PROGRAM is not there it is SAGEMAKER_SUBMIT_DIRECTORY, since
    SDK 2's local mode mounts the source directory of a model beside it, or the model's own directory, since
    SDK 3 mounts the code there for multi-model-server (LOCAL-26).

    Raises:
        UserError: SAGEMAKER_PROGRAM names a file that is not there.
    """
    named = os.environ.get("SAGEMAKER_PROGRAM")
    submitted = Path(os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "").removeprefix("file://"))
    code_dir = model_dir / "code"
    elsewhere = (submitted, model_dir) if submitted.is_absolute() else (model_dir,)
    for directory in (code_dir, *elsewhere) if named else (code_dir,):
        path = directory / (named or "inference.py")
        if path.is_file():
            return path, directory
    if named:
        raise UserError(
            f"SAGEMAKER_PROGRAM={named!r}: {code_dir / named} does not exist. Put the file into code/ of "
            "model.tar.gz, or unset the variable."
        )
    return None, code_dir


def import_program(path: Path, code_dir: Path) -> ModuleType:
    """Import the user's handler, with its directory on sys.path and nothing written there (HOST-21).

    code/lib is there too: the SageMaker SDK puts a model's `dependencies` into it.
    """
    sys.dont_write_bytecode = True
    compat.offer()
    for directory in dict.fromkeys((str(code_dir / "lib"), str(path.parent), str(code_dir))):
        if directory not in sys.path:
            sys.path.insert(0, directory)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UserError(
            f"{path} is not a Python file. SAGEMAKER_PROGRAM must name one, such as inference.py."
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # so that pickles and dataclasses of the module find it
    spec.loader.exec_module(module)
    return module


def _functions(module: Any, origin: str, is_users: bool) -> dict[str, Function]:
    found = {}
    for name, arguments in _ARGUMENTS.items():
        function = getattr(module, name, None)
        if function is None:
            continue
        if not callable(function):
            raise UserError(f"{origin}: {name} is not a function.")
        takes_context = _takes_context(function, len(arguments))
        if not takes_context and not _takes(function, len(arguments)):
            raise UserError(f"{origin}: {name} must take ({', '.join(arguments)}).")
        found[name] = Function(function, is_users, takes_context, _is_async(function))
        if name == "bidirectional_fn" and not found[name].is_async:
            raise UserError(f"{origin}: bidirectional_fn must be a coroutine function: async def.")
    steps = [name for name in _STEPS if name in found]
    if "transform_fn" in found and steps:  # HANDLER-04
        raise UserError(f"{origin} defines transform_fn and {steps[0]}. Keep one: transform_fn replaces it.")
    return found


def _is_async(function: Callable[..., Any]) -> bool:
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    call = getattr(function, "__call__", None)  # noqa: B004 - of an object that is called like a function
    return any(is_kind(function) or is_kind(call) for is_kind in kinds)


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # written in C, and without a signature: the first request will tell
        return True
    return True


def _takes_context(function: Callable[..., Any], count: int) -> bool:
    """True for a function with one argument more, unless that one has a default and another name."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if len(positional) <= count:
        return False
    extra = positional[count]
    return (extra.name == "context" or extra.default is extra.empty) and _takes(function, count + 1)


def _no_model_fn(model_dir: Path, path: Path | None) -> str:
    if path is not None:
        return f"{path} has no model_fn, and this image has no built-in one. Define model_fn(model_dir)."
    return (
        f"{model_dir / 'code' / 'inference.py'} does not exist, and this image has no built-in handler. "
        "Put inference.py with model_fn(model_dir) into code/ of model.tar.gz."
    )
