"""Handlers whose answers come part by part, as the test says."""

from __future__ import annotations

import http.client

from tests.unit.serving.conftest import PATIENCE, Server

# The request says what to do, in words. Files let a test see and steer how far the handler is.
STREAMING = """
import asyncio, os, pathlib, sys, time
BASE = pathlib.Path(os.environ["BASE"])

def model_fn(model_dir):
    return "a model"

def wait(name):
    (BASE / f"at-{name}").touch()
    while not (BASE / f"go-{name}").exists():
        time.sleep(0.01)

def transform_fn(model, body, content_type, accept, context):
    if body == "whole":
        return "not a stream"
    if body == "typed":
        return iter(["data: 1\\n\\n"]), "text/event-stream"
    if body == "headers":
        context.set_response_status(code=202)
        context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "c=1")
    return parts(body)

def parts(body):
    try:
        if body == "early":
            raise ValueError("nothing is sent yet")
        if body == "empty":
            return
        yield "one,"
        if body == "steps":
            wait("one")
        if body == "late":
            raise RuntimeError("half is sent")
        if body == "exit":
            os._exit(3)
        if body == "hang":
            time.sleep(600)
        if body == "wrong":
            yield object()
        if body == "endless":
            while True:
                yield "x"
                time.sleep(0.01)
        if body == "flood":
            for number in range(1000):
                (BASE / "flooded").write_text(str(number))
                yield b"x" * 100_000
        yield b""
        yield b"two,"
        yield bytearray(b"three")
    finally:
        if sys.exc_info()[0] is GeneratorExit:
            (BASE / "closed").touch()
"""

ASYNC = """
import asyncio, os, pathlib, time
BASE = pathlib.Path(os.environ["BASE"])

async def model_fn(model_dir):
    return asyncio.Event()

def input_fn(body, content_type):
    return body

async def predict_fn(data, model):
    if data == "sleep":
        (BASE / "began").touch()
        try:
            await asyncio.sleep(600)
        finally:
            (BASE / "cancelled").touch()
    if data == "last":
        model.set()
    if data == "meet":
        await model.wait()
    if data == "cancelled":
        raise asyncio.CancelledError
    if data == "block":
        time.sleep(600)
    if data == "compute":
        (BASE / "began").touch()
        while not (BASE / "go").exists():
            time.sleep(0.01)
    return data

async def output_fn(prediction, accept):
    try:
        yield prediction
        if prediction == "stream":
            (BASE / "began").touch()
            await asyncio.sleep(600)
        if prediction == "late":
            raise RuntimeError("half is sent")
        if prediction == "flood":
            for number in range(1000):
                (BASE / "flooded").write_text(str(number))
                yield b"x" * 100_000
        yield "."
    finally:
        (BASE / f"closed-{prediction}").touch()
"""


def request(server: Server, body: bytes) -> http.client.HTTPConnection:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    client.request("POST", "/invocations", body, {"Content-Type": "text/plain"})
    return client
