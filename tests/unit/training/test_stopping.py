import os
import signal
import threading
import time

import pytest
from opt_ml.training import stopping


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setattr(stopping._State, "arrived", False)
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    stopping.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.mark.contract("TRAIN-94")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_raises_where_nothing_else_was_said(number):
    with pytest.raises(stopping.Stopped):
        send(number)
    assert stopping.requested()


@pytest.mark.contract("TRAIN-95")
def test_a_deferred_signal_is_noted_and_the_block_goes_on():
    with stopping.deferred():
        assert not stopping.requested()
        send()
        send()
        assert stopping.requested()
        with pytest.raises(stopping.Stopped):
            stopping.check()


def test_a_call_that_cannot_ask_is_interrupted_within_a_deferred_block():
    with stopping.deferred():
        with pytest.raises(stopping.Stopped), stopping.interruptible():
            send()
        send()  # and then it is deferred again


@pytest.mark.contract("TRAIN-95")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_came_while_an_object_was_finalized_comes_again(monkeypatch):
    monkeypatch.setattr(stopping, "AGAIN", 1.0)
    passed_over = False

    class Finalized:
        def __del__(self):
            send()

    with stopping.deferred():
        with pytest.raises(stopping.Stopped), stopping.interruptible():
            instance = Finalized()
            del instance
            passed_over = True
            for _ in range(3000):
                time.sleep(0.01)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0), (
            "outside of the call nothing comes any more"
        )
    assert passed_over


def test_a_call_that_cannot_ask_does_not_begin_after_a_signal():
    began = False
    with stopping.deferred():
        send()
        with pytest.raises(stopping.Stopped), stopping.interruptible():
            began = True
    assert not began


def test_nothing_is_deferred_after_a_signal_that_a_library_swallowed():
    with pytest.raises(stopping.Stopped):
        send()
    with pytest.raises(stopping.Stopped), stopping.deferred():
        pytest.fail("it began")


def test_a_second_sigterm_disturbs_nothing_and_a_second_ctrl_c_ends_it():
    with stopping.deferred():
        send()
        send(signal.SIGTERM)
        with pytest.raises(stopping.Stopped):
            send(signal.SIGINT)


def test_after_the_end_no_signal_counts():
    stopping.finish()
    send()
    send(signal.SIGINT)
    assert not stopping.requested()


def test_a_program_may_install_it_from_any_thread_without_harm():
    thread = threading.Thread(target=stopping.install)
    thread.start()
    thread.join()
    with pytest.raises(stopping.Stopped):
        send()
