"""Ctrl-C while the engine makes something: nothing is left of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.integration.test_jobs import leftovers
from toolkit.interrupts import terminate_like_interrupt
from toolkit.machine.containers import engine
from toolkit.machine.run_spec import RunSpec


@pytest.fixture
def spec(tiny: str) -> RunSpec:
    return RunSpec(
        image=tiny,
        entrypoint=("python3",),
        command=("-c", "input()"),
        purpose="interrupted",
        network="opt-ml-interrupted",
        aliases=("algo-1",),
    )


@pytest.fixture
def ctrl_c_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[type, str], None]:
    """Sends Ctrl-C to this program when the engine has done what a method asks, before the method says so."""

    def arrange(kind: type, name: str) -> None:
        real = getattr(kind, name)

        def interrupted(*arguments: Any, **options: Any) -> Any:
            done = real(*arguments, **options)
            os.kill(os.getpid(), signal.SIGINT)
            return done

        monkeypatch.setattr(kind, name, interrupted)

    return arrange


@pytest.mark.parametrize("method", ["create_container_from_config", "start", "remove_container"])
def test_a_container_is_removed_that_was_made_as_ctrl_c_came(
    method: str, spec: RunSpec, ctrl_c_at: Callable[[type, str], None]
) -> None:
    ctrl_c_at(docker.APIClient, method)
    with pytest.raises(KeyboardInterrupt), engine().private_network(spec), engine().run(spec):
        pass
    assert leftovers("container", "interrupted") == leftovers("network", "interrupted") == ""


@pytest.mark.parametrize("method", ["create_network", "remove_network"])
def test_a_network_is_removed_that_was_made_as_ctrl_c_came(
    method: str, spec: RunSpec, ctrl_c_at: Callable[[type, str], None]
) -> None:
    ctrl_c_at(docker.APIClient, method)
    with pytest.raises(KeyboardInterrupt), engine().private_network(spec):
        pass
    assert leftovers("network", "interrupted") == ""


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_terminal_that_is_closed_is_like_ctrl_c_unless_nohup_ignores_it(handler: signal.Handlers) -> None:
    usual = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(signal.SIGHUP, handler)
        terminate_like_interrupt()
        found = signal.getsignal(signal.SIGHUP)
        assert found is (signal.SIG_IGN if handler is signal.SIG_IGN else signal.default_int_handler)
    finally:
        for number, before in usual.items():
            signal.signal(number, before)
