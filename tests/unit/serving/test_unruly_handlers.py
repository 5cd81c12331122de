"""Handlers that do what they should not: the request at hand may fail, and the server lives on."""

from __future__ import annotations

import pytest

from tests.unit.serving.conftest import PATIENCE, Server, end_all, eventually, is_alive, starter

UNRULY = """
import asyncio, os, pathlib, signal, subprocess, sys, threading, time
BASE = pathlib.Path(os.environ["BASE"])

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    done = globals()[body.replace(" ", "_")]()
    return "fine" if done is None else done

def nothing(): pass
def print_much():
    for _ in range(2000):
        print("x" * 1000)
def close_stdout():
    sys.stdout.close(); os.close(1)
def close_stderr_and_fail():
    sys.stderr.close()
    raise KeyError("said to nobody")
def exit_politely(): sys.exit("I am done")
def interrupt(): raise KeyboardInterrupt
class Own(BaseException): pass
def own_base_exception(): raise Own("of my own")
def cancel(): raise asyncio.CancelledError
def odd_error():
    class Odd(Exception):
        def __str__(self): raise RuntimeError("a bug in the error")
    raise Odd
def no_memory(): raise MemoryError("of 8 GB")
def recurse(): return recurse()
def wrong_type(): return {"a": "dict"}
def no_bytes(): return ""
def leave_a_thread():
    threading.Thread(target=time.sleep, args=(600,)).start()
def leave_a_process():
    subprocess.Popen(["sleep", "600"])
def block_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 64)))
def catch_signals():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
def leave_the_directory():
    os.chdir("/proc")
def write_to_descriptor_3():
    try:
        os.write(3, b"not a frame at all, but a line of a log")
    except OSError:
        pass
def fork_and_return():
    if os.fork() == 0:
        return "the child's own answer"
    os.wait()
def alarm():
    def late(*_): raise TimeoutError("after the request")
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
def spawn_workers():
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(2) as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
def run_a_loop():
    async def step():
        await asyncio.sleep(0)
        return "from a loop"
    return asyncio.run(step())
def return_much(): return b"x" * 200_000_000
def close_all():
    os.closerange(3, 1024)
def speak_in_our_place():
    for descriptor in range(3, 200):
        try:
            if os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
                os.write(descriptor, b"a line of a log, which is no frame")
        except OSError:
            pass
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started: list[Server] = []
    yield (
        starter(tmp_path_factory.mktemp("unruly"), started)(
            UNRULY, SAGEMAKER_MODEL_SERVER_WORKERS=1
        ).wait_until_ready()
    )
    end_all(started)


def ask(server: Server, what: str):
    return server.post(what.encode(), "text/plain")


@pytest.mark.parametrize(
    ("what", "status", "says"),
    [
        ("print much", 200, "fine"),
        ("exit politely", 500, "SystemExit: I am done"),
        ("interrupt", 500, "KeyboardInterrupt: "),
        ("own base exception", 500, "Own: of my own"),
        ("cancel", 500, "CancelledError: "),
        ("odd error", 500, "Odd"),
        ("no memory", 503, "MemoryError: of 8 GB"),
        ("recurse", 500, "RecursionError: "),
        ("wrong type", 500, "TypeError: the handler returned a dict; return bytes"),
        ("no bytes", 200, ""),
        ("leave a thread", 200, "fine"),
        ("leave a process", 200, "fine"),
        ("block signals", 200, "fine"),
        ("catch signals", 200, "fine"),
        ("leave the directory", 200, "fine"),
        ("write to descriptor 3", 200, "fine"),
        ("fork and return", 200, "fine"),
        ("spawn workers", 200, "fine"),
        ("run a loop", 200, "from a loop"),
        ("close stdout", 200, "fine"),
        ("close stderr and fail", 500, "KeyError: 'said to nobody'"),
    ],
)
@pytest.mark.contract("HOST-55")
def test_the_worker_lives_on_and_answers(server, what, status, says):
    before = server.workers
    reply = ask(server, what)
    assert reply.status == status
    assert (reply.json["error"] if status >= 400 else reply.body.decode()).startswith(says)
    assert ask(server, "nothing").body == b"fine"
    assert server.ping() == 200
    assert server.workers == before


def test_a_large_answer_arrives_whole(server):
    reply = ask(server, "return much")
    assert (reply.status, len(reply.body), reply.headers["content-length"]) == (200, 200_000_000, "200000000")
    assert ask(server, "nothing").body == b"fine"


def test_an_alarm_that_goes_off_after_its_request_harms_no_other(start):
    server = start(UNRULY, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    before = server.workers
    assert ask(server, "alarm").body == b"fine"
    eventually(lambda: "TimeoutError: after the request" in server.log, "the alarm")
    assert ask(server, "nothing").body == b"fine"
    assert server.workers == before


@pytest.mark.parametrize("what", ["close all", "speak in our place"])
def test_a_worker_that_cannot_be_talked_to_any_more_is_replaced(server, what):
    before = server.workers
    reply = ask(server, what)
    assert (reply.status, reply.json["retry_after_seconds"]) == (503, 1)
    eventually(lambda: ask(server, "nothing").status == 200, "a new worker serves")
    assert server.workers.isdisjoint(before)


def test_whatever_a_handler_leaves_behind_does_not_outlast_the_server(start):
    server = start(UNRULY, SAGEMAKER_MODEL_SERVER_WORKERS=1).wait_until_ready()
    for what in ("leave a thread", "leave a process", "block signals", "catch signals"):
        assert ask(server, what).body == b"fine"
    workers = server.workers
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    eventually(lambda: not any(is_alive(worker) for worker in workers), "no worker is left")
