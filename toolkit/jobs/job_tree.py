"""A job's directory on this machine: what the hosts find under /opt/ml before they start."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.machine.run_spec import Bind
from toolkit.jobs.training_job import SHARES, Plan

_PARTS = ("input/config", "input/data", "model", "output/data", "output/metrics/sagemaker")  # TRAIN-80


def make(plan: Plan) -> None:
    """Make the job's directory and in it the tree of each host.

    Raises:
        ToolkitError: it exists already, or cannot be made.
    """
    try:
        plan.directory.mkdir(parents=True)
    except FileExistsError:
        raise ToolkitError(
            f"{plan.directory} exists already.", "Choose another --job-name, or remove it."
        ) from None
    except OSError as error:
        raise ToolkitError(
            f"{plan.directory} cannot be made: {error.strerror}.", "Choose another directory with --output."
        ) from None
    try:
        for path, source in plan.links.items():
            _link(source, plan.directory / path)
        _make_hosts(plan)
    except OSError as error:
        remove(plan.directory)
        where = f"{error.filename}: " if error.filename else ""
        raise ToolkitError(f"The job's directories cannot be made: {where}{error.strerror}.") from None


def renew(plan: Plan) -> None:
    """The trees of new instances: nothing of the ones before is left but the checkpoints (TRAIN-96)."""
    for host in plan.runs:
        remove(plan.directory / host)
    _make_hosts(plan)


def remove_shares(plan: Plan) -> None:
    """Remove the links to channel files; the files themselves stay."""
    if plan.links:
        remove(plan.directory / SHARES)


def remove(directory: Path) -> None:
    """Remove a tree of the caller's, also where a container left directories that nobody may write to."""
    for root, names, _ in os.walk(directory):
        for name in names:
            if not (path := Path(root) / name).is_symlink():
                path.chmod(0o700)
    shutil.rmtree(directory, ignore_errors=not directory.exists())


def _make_hosts(plan: Plan) -> None:
    for host, run in plan.runs.items():
        host_dir = plan.directory.absolute() / host
        for part in _PARTS:
            (host_dir / part).mkdir(parents=True)
        for bind in run.binds:
            _make_mount_point(bind, host_dir)
    for path, text in plan.files.items():
        (plan.directory / path).write_text(text, encoding="utf-8")
    for path, source in plan.copies.items():
        (plan.directory / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, plan.directory / path)


def _make_mount_point(bind: Bind, host_dir: Path) -> None:
    """Made here both ends belong to the caller; made by the engine they would belong to root."""
    if not bind.source.exists():  # a share without files, checkpoints, a warm pool's cache
        bind.source.mkdir(parents=True)
    if not bind.target.startswith("/opt/ml/input/"):
        return
    mount_point = host_dir / Path(bind.target).relative_to("/opt/ml")
    if bind.source.is_dir():
        mount_point.mkdir(parents=True, exist_ok=True)
    else:
        mount_point.parent.mkdir(parents=True, exist_ok=True)
        mount_point.touch()


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)  # a symbolic link itself would lead nowhere from there
    except OSError:  # on another file system, or of another user
        shutil.copy2(source, target)
