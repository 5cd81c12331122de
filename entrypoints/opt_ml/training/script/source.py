"""The user's code, brought to /opt/ml/code (TT-03, TT-06)."""

from __future__ import annotations

import os
from pathlib import Path

from opt_ml.environment import Environment
from opt_ml.errors import UserError


def bring_code(environment: Environment) -> None:
    """Fill the code directory from `sagemaker_submit_directory`: s3://, a directory, a tar, or one file.

    A code directory that holds anything already stays as it is, as with the AWS toolkit; an image that brings
    its code can be given none (TT-06, TT-07).

    Raises:
        UserError: nothing lies there, it cannot be read, or it is not an archive.
    """
    code_dir = environment.code_dir
    location = str(environment.reserved.get("sagemaker_submit_directory", code_dir))
    if code_dir.is_dir() and any(code_dir.iterdir()):
        if location != str(code_dir):
            print(f"{code_dir} holds files already: {location} is not unpacked, and they are used.")
        return
    if location.startswith("s3://"):
        _bring_from_s3(location, code_dir)
    elif location != str(code_dir):
        _bring_from_path(Path(location.removeprefix("file://")), code_dir)


def _bring_from_path(source: Path, code_dir: Path) -> None:
    import shutil
    import tarfile

    if source.is_dir():
        shutil.copytree(source, code_dir, dirs_exist_ok=True, symlinks=True)
    elif not source.exists():
        raise UserError(
            f"sagemaker_submit_directory {source} does not exist in this container. "
            "Give it as s3://..., or as a directory or a tar of the image or of a channel."
        )
    elif tarfile.is_tarfile(source):
        from opt_ml.training.script.archive import unpack

        unpack(source, code_dir, str(source))
    else:
        code_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, code_dir)


def _bring_from_s3(location: str, code_dir: Path) -> None:
    import tempfile

    from opt_ml.aws import download
    from opt_ml.training.script.archive import unpack

    with tempfile.TemporaryDirectory(prefix="source-") as scratch:
        archive = Path(scratch) / os.path.basename(location)  # noqa: PTH119 - a URL
        download(location, archive)
        unpack(archive, code_dir, location)
