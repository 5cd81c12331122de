"""What a model's requirements.txt asks for is installed once, before the workers start (HANDLER-13, MHCS-04).

The packages go into a directory of their own below the temporary one: the model is read-only (HOST-21), and
the rest of the file system may be so too (HOST-93). What the image has already, in a version that fits, is
not fetched again.

| variable | meaning |
|---|---|
| STANDARD_AUTO_INSTALL_REQ | `false`: nothing is installed |
| STANDARD_PIP_ARGS | further arguments of pip, such as `--no-index` |
| CA_REPOSITORY_ARN | a CodeArtifact repository in place of the index (HANDLER-14) |
| PIP_INDEX_URL, PIP_RETRIES, ... | pip's own |

`requirements/` beside a requirements.txt may hold wheels for a container without a network.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

from opt_ml.pip import InstallError
from opt_ml.serving.workers.frames import FrameBuffer
from opt_ml.serving.workers.processes import Children, describe_end, kill_worker, start_worker


def requirements_files(model_dir: Path, environment: Mapping[str, str] = os.environ) -> list[Path]:
    """The requirements.txt of a model: in its code/ and in itself."""
    if environment.get("STANDARD_AUTO_INSTALL_REQ", "").strip().lower() == "false":
        return []
    files = (directory / "requirements.txt" for directory in (model_dir / "code", model_dir))
    return [file for file in files if file.is_file()]


class Packages:
    """The packages of one model.

    Args:
        model_dir: the model's directory.
        children: of this process.
    """

    def __init__(self, model_dir: Path, children: Children) -> None:
        self._files = requirements_files(model_dir)
        self._children = children
        self._directory: Path | None = None
        self._process: int | None = None

    async def install(self) -> None:
        """Install what is asked for; nothing where nothing is.

        Raises:
            InstallError: it cannot be had, or CodeArtifact refuses.
        """
        if not self._files:
            return
        try:
            directory = self._directory = Path(tempfile.mkdtemp(prefix="opt_ml-packages-"))
            arguments = [str(directory), *map(str, self._files)]
            process, connection = start_worker("opt_ml.serving.installer", arguments, 1)
        except OSError as error:
            raise InstallError(f"{self._files[0]} was not installed: {error}.", "") from None
        self._process = process
        self._children.watch(process)
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        frames = list(FrameBuffer().feed(data)) if (data := await reader.read()) else []
        writer.close()
        self._process = None
        end = describe_end(await self._children.take(process))
        if not frames:
            raise InstallError(f"requirements.txt was not installed: pip {end}.", "")
        [(header, body)] = frames
        if header["event"] == "failed":
            raise InstallError(header["cause"], body.decode(errors="replace"))

    def variables(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Environment variables by which a worker finds what is installed."""
        if self._directory is None:
            return {}
        ours = {"PYTHONPATH": site_packages(self._directory), "PATH": str(self._directory / "bin")}
        return {
            name: os.pathsep.join(filter(None, (value, environment.get(name))))
            for name, value in ours.items()
        }

    def close(self) -> None:
        """Stop what is being installed, and delete what was."""
        if self._process is not None:
            kill_worker(self._process)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def site_packages(directory: Path) -> str:
    """Where a virtual environment in `directory` has its packages."""
    return sysconfig.get_path("purelib", "venv", vars={"base": str(directory)})
