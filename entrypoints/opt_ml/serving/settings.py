"""What the environment says about serving, read once and checked.

| variable | meaning | default |
|---|---|---|
| SAGEMAKER_BIND_TO_PORT | TCP port on 0.0.0.0 (HOST-30, PIPE-01) | 8080 |
| SAGEMAKER_MODEL_SERVER_WORKERS | worker processes | one a CPU, at most one a GB (HOST-94, HOST-109) |
| SAGEMAKER_MODEL_SERVER_TIMEOUT | seconds for one prediction (HANDLER-16) | 60, batch 600 |
| SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS | the same; it goes before the other | |
| MMS_DEFAULT_RESPONSE_TIMEOUT, TS_DEFAULT_RESPONSE_TIMEOUT | the same, where neither is set (HOST-101) | |
| SAGEMAKER_MODEL_SERVER_STREAM_TIMEOUT | seconds for a whole streamed answer (HOST-66) | 480 |
| SAGEMAKER_MODEL_SERVER_CONCURRENCY | requests at once in a worker whose handler is async | 64 |
| SAGEMAKER_MAX_PAYLOAD_IN_MB | largest request body; 0 is no limit (BATCH-06) | 25, batch 100 (HOST-52) |
| MMS_MAX_REQUEST_SIZE, TS_MAX_REQUEST_SIZE | the same in bytes, where that is not set (HOST-101) | |
| SAGEMAKER_MODEL_SERVER_QUEUE_SIZE | requests that may wait for a worker | 1000 |
| SAGEMAKER_PROGRAM | the handler's file in model/code (HANDLER-01) | inference.py |
| SAGEMAKER_MULTI_MODEL | `true`: models come and go by POST and DELETE /models (MME-02) | false |
| SAGEMAKER_MODEL_JOB_QUEUE_SIZE | requests that may wait for one of the models (MME-21) | 100 |
| SAGEMAKER_NUM_MODEL_WORKERS | workers that may hold the same one of the models | the workers |
| OPT_ML_MODELS_MEMORY_MB | memory for all models; 507 beyond it (MME-07) | what the container has |
| SAGEMAKER_ENABLE_STATEFUL_SESSIONS | `true`: see `serving.sessions` (HOST-103) | false |
| SAGEMAKER_SESSIONS_EXPIRATION | seconds from the opening of a session to its end (HOST-105) | 1200 |
| SAGEMAKER_SESSIONS_PATH | where the sessions' files are | /dev/shm/sagemaker_sessions |
| SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT | Accept where the client sends none (HANDLER-11) | the handler's |
| SAGEMAKER_CONTAINER_LOG_LEVEL | least level of log lines, a name or number (AG-09, MHCS-06) | INFO |
| OPT_ML_ACCESS_LOG | budget, all, errors or off; see `access_log` | budget |
| OPT_ML_COMPILED | off: no compiled model, every request to a worker; see `quick` | on |

SAGEMAKER_SAFE_PORT_RANGE is not read: the server listens on no further port (PIPE-02).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opt_ml.environment import base_dir
from opt_ml.errors import UserError
from opt_ml.resources import memory_limit, usable_cpus
from opt_ml.serving.log_policy import LogPolicy, read_log_policy
from opt_ml.serving.sessions.session import is_enabled, sessions_path

MEGABYTE = 1024 * 1024
_WORKER_MEMORY = 1000 * MEGABYTE  # a little less than a GB: a limit of 2 GB is to be two of these
_TIMEOUTS = (  # HANDLER-16, HOST-101
    "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
    "SAGEMAKER_MODEL_SERVER_TIMEOUT",
    "MMS_DEFAULT_RESPONSE_TIMEOUT",
    "TS_DEFAULT_RESPONSE_TIMEOUT",
)
_BODY_LIMITS = ("MMS_MAX_REQUEST_SIZE", "TS_MAX_REQUEST_SIZE")  # HOST-101
_MOST_LANES = 16  # many times what the network brings


@dataclass(frozen=True)
class Settings:
    """How this container serves.

    Attributes:
        model_dir: `/opt/ml/model`, read-only (HOST-21).
        workers: number of processes, each with its own copy of the model.
        timeout: seconds that one prediction may take in its worker, or one part of a stream; also the
            longest wait for a worker.
        stream_timeout: seconds that a streamed answer may take in all.
        concurrency: requests at once in one worker whose handler is asynchronous.
        max_body: bytes of one request body, or None for no limit.
        queue_size: requests that may wait for a worker.
        body_memory: bytes of memory that large bodies may take together, those that arrive and those that
            wait; a body for which none is left goes to disk.
        idle_timeout: seconds after which a connection without progress is closed. Longer than the
            platform's own limit, so that the server is never the first to close a pooled connection.
        drain_timeout: seconds that requests in flight get after SIGTERM; SIGKILL comes at 30 (HOST-04).
        sharers: worker processes that share the CPUs; None for `workers`.
        is_multi_model: start without a model and load what POST /models names.
        load_timeout: seconds that one of many models may take to load (MME-16).
        model_queue_size: requests that may wait for one of many models.
        most_copies: workers that may hold the same one of many models; None for all.
        models_memory: bytes that the processes of many models may take, or None for what there is.
        lanes: processes that answer by the quick path, the leader among them; see `lane`.
        log: which requests are logged.
        sessions: the directory of all sessions, or None where they are off.
        session_lifetime: seconds from the opening of a session to its end.
    """

    model_dir: Path
    port: int = 8080
    workers: int = 1
    timeout: float = 60.0
    max_body: int | None = 25 * MEGABYTE
    queue_size: int = 1000
    body_memory: int = 512 * MEGABYTE
    idle_timeout: float = 120.0
    drain_timeout: float = 27.0
    stream_timeout: float = 480.0
    concurrency: int = 64
    sharers: int | None = None
    is_multi_model: bool = False
    load_timeout: float = 360.0
    model_queue_size: int = 100
    most_copies: int | None = None
    models_memory: int | None = None
    lanes: int = 1
    log: LogPolicy = field(default_factory=LogPolicy)
    sessions: Path | None = None
    session_lifetime: float = 1200.0


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process.

    Raises:
        UserError: a variable that is not a number in its range, by name.
    """
    is_batch = environment.get("SAGEMAKER_BATCH", "").lower() == "true"  # BATCH-01
    timeout = _first_number(environment, _TIMEOUTS, 600 if is_batch else 60)
    max_body = _first_number(environment, _BODY_LIMITS, (100 if is_batch else 25) * MEGABYTE)
    if environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", "").strip():
        max_body = _number(environment, "SAGEMAKER_MAX_PAYLOAD_IN_MB", 0, 0) * MEGABYTE
    return Settings(
        model_dir=base_dir() / "model",
        body_memory=min(512 * MEGABYTE, memory_limit() // 8),
        port=_number(environment, "SAGEMAKER_BIND_TO_PORT", 8080, 1, 65535),
        workers=_number(environment, "SAGEMAKER_MODEL_SERVER_WORKERS", 0, 1) or default_workers(),
        timeout=timeout,
        max_body=max_body or None,
        stream_timeout=_number(environment, "SAGEMAKER_MODEL_SERVER_STREAM_TIMEOUT", 480, 1),
        concurrency=_number(environment, "SAGEMAKER_MODEL_SERVER_CONCURRENCY", 64, 1),
        queue_size=_number(environment, "SAGEMAKER_MODEL_SERVER_QUEUE_SIZE", 1000, 0),
        is_multi_model=is_multi_model(environment),
        model_queue_size=_number(environment, "SAGEMAKER_MODEL_JOB_QUEUE_SIZE", 100, 1),
        most_copies=_number(environment, "SAGEMAKER_NUM_MODEL_WORKERS", 0, 1) or None,
        models_memory=_number(environment, "OPT_ML_MODELS_MEMORY_MB", 0, 1) * MEGABYTE or None,
        lanes=min(usable_cpus(), _MOST_LANES),
        log=read_log_policy(environment),
        sessions=sessions_path(environment) if is_enabled(environment) else None,
        session_lifetime=_number(environment, "SAGEMAKER_SESSIONS_EXPIRATION", 1200, 1),
    )


def default_workers(cpus: int | None = None, memory: int | None = None) -> int:
    """One worker a usable CPU, and no more than one a GB of memory: each has its own copy of the model.

    So a serverless endpoint of 1 GB has one worker (HOST-94). On an instance with 2 GB a CPU or more, as
    nearly all have, the CPUs alone decide.

    Args:
        cpus: that can be used; None for what this container has.
        memory: bytes, likewise.
    """
    cpus = usable_cpus() if cpus is None else cpus
    memory = memory_limit() if memory is None else memory
    return max(1, min(cpus, memory // _WORKER_MEMORY))


def is_multi_model(environment: Mapping[str, str] = os.environ) -> bool:
    """True in a container of a multi-model endpoint (MME-02)."""
    return environment.get("SAGEMAKER_MULTI_MODEL", "").strip().lower() == "true"


def _first_number(environment: Mapping[str, str], names: Sequence[str], default: int) -> int:
    """The number of the first variable that is set."""
    for name in names:
        if environment.get(name, "").strip():
            return _number(environment, name, default, 1, 1 << 40)
    return default


def _number(
    environment: Mapping[str, str], name: str, default: int, least: int, most: int = 1_000_000_000
) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text[:12]) <= most:
        raise UserError(f"{name}={text!r} must be a whole number from {least} to {most}.")
    return int(text)
