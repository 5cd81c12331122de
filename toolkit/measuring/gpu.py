"""What the GPUs of this machine do, by one `nvidia-smi` that goes on reading for as long as a job runs.

It sees whole devices: a job that shares them with other programs sees those too.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_FIELDS = "index,name,utilization.gpu,memory.used,memory.total"
_MIB = 2**20


@dataclass(frozen=True)
class GpuReading:
    """All devices at one time: mean utilisation in percent, sum of memory in use in bytes."""

    utilisation_percent: float
    memory_bytes: int


@dataclass(frozen=True)
class _Device:
    index: int
    name: str
    utilisation_percent: float
    used_bytes: int
    total_bytes: int


def parse(line: str) -> _Device | None:
    """One line of `nvidia-smi --format=csv,noheader,nounits`; None for anything else.

    A device divided by MIG says `[N/A]` for its utilisation, which counts as 0.
    """
    parts = [part.strip() for part in line.split(",")]
    try:
        index, name, utilisation, used, total = parts
        busy = float(utilisation) if utilisation[:1].isdigit() else 0.0
        return _Device(int(index), name, busy, int(float(used) * _MIB), int(float(total) * _MIB))
    except ValueError:
        return None


class GpuReader:
    """Reads while its block runs; a machine without `nvidia-smi` has no devices, and that is no error.

    Attributes:
        devices: name and memory in bytes of each.
        why_not: a line where there is an `nvidia-smi` that does not work; empty otherwise.
    """

    def __init__(self) -> None:
        self.devices: tuple[tuple[str, int], ...] = ()
        self.why_not = ""
        self._latest: dict[int, _Device] = {}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        program = shutil.which("nvidia-smi")
        if program is None:
            return self
        query = [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
        try:
            first = subprocess.run(query, capture_output=True, text=True, check=False, timeout=20)
        except (OSError, subprocess.TimeoutExpired) as error:
            self.why_not = f"GPU: nvidia-smi does not answer ({error})."
            return self
        self._read(first.stdout.splitlines())
        if not self._latest:
            said = (first.stderr or first.stdout).strip().partition("\n")[0]
            self.why_not = f"GPU: nvidia-smi found none ({said})."
            return self
        self.devices = tuple((device.name, device.total_bytes) for device in self._latest.values())
        self._process = subprocess.Popen(
            [*query, "--loop-ms=1000"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()

    def latest(self) -> GpuReading | None:
        """The newest reading of all devices; None where there is none."""
        devices = list(self._latest.values())
        if not devices:
            return None
        busy = sum(device.utilisation_percent for device in devices) / len(devices)
        return GpuReading(round(busy, 1), sum(device.used_bytes for device in devices))

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            if device := parse(line):
                self._latest[device.index] = device
