"""GPUs, by programs that answer as nvidia-smi does."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.measuring.gpu import GpuReader, GpuReading, parse

GIB = 2**30


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    def write(body: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return write


def test_a_machine_without_nvidia_smi_has_no_gpu_and_that_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with GpuReader() as gpu:
        assert (gpu.devices, gpu.why_not, gpu.latest()) == ((), "", None)


def test_devices_are_read_for_as_long_as_the_block_runs(install) -> None:  # type: ignore[no-untyped-def]
    install(
        'echo "0, NVIDIA A10G, 50, 1024, 24576"; echo "1, NVIDIA A10G, 100, 2048, 24576"\n'
        'case "$*" in *--loop-ms*) exec sleep 60;; esac'
    )
    with GpuReader() as gpu:
        assert gpu.devices == (("NVIDIA A10G", 24 * GIB), ("NVIDIA A10G", 24 * GIB))
        assert gpu.latest() == GpuReading(75.0, 3 * GIB)
        process = gpu._process
    assert process is not None
    assert process.poll() is not None  # it does not outlive the job


def test_an_nvidia_smi_that_fails_is_told_with_its_own_words(install) -> None:  # type: ignore[no-untyped-def]
    install('echo "NVIDIA-SMI has failed because it could not communicate with the driver."; exit 9')
    with GpuReader() as gpu:
        assert gpu.latest() is None
        assert "could not communicate with the driver" in gpu.why_not


def test_a_device_divided_by_mig_has_memory_and_no_utilisation() -> None:
    device = parse("0, NVIDIA H200, [N/A], 512, 143771")
    assert device is not None
    assert (device.utilisation_percent, device.used_bytes) == (0.0, 512 * 2**20)


@pytest.mark.parametrize("line", ["", "No devices were found", "0, X, 1, 2", "a, b, c, d, e"])
def test_other_lines_are_no_device(line: str) -> None:
    assert parse(line) is None
