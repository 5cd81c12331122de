"""`serve` of a multi-model variant of the tiny image: each model answers with its own word.

CAPACITY is how many models it holds; one more is 507. A model whose word is `slow` loads for two seconds.
"""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CAPACITY = int(os.environ.get("CAPACITY", "100"))
LOADED = {}
LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """The model API."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """/ping is always 200: no model need be loaded."""
        names = [{"modelName": name, "modelUrl": ""} for name in LOADED]
        self.answer(200, json.dumps({"models": names}) if self.path == "/models" else "")

    def do_POST(self):
        """Load, or predict."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/models":
            return self.answer(*self.load(json.loads(body)))
        word = LOADED.get(self.path.split("/")[2])
        if word is None:
            return self.answer(404, "not loaded")
        if body == b"forget":  # as a container that had to be rid of it by itself
            LOADED.pop(self.path.split("/")[2])
        return self.answer(200, f"{word} {self.headers['X-Amzn-SageMaker-Target-Model']}")

    def do_DELETE(self):
        """Unload."""
        with LOCK:
            found = LOADED.pop(self.path.split("/")[2], None)
        self.answer(200 if found else 404, "")

    def load(self, request):
        """Status and text."""
        assert os.environ["SAGEMAKER_MULTI_MODEL"] == "true"
        try:
            word = Path(request["url"], "word").read_text()
        except OSError as error:
            return 400, str(error)
        if word == "slow":
            time.sleep(2)
        with LOCK:
            if request["model_name"] in LOADED:
                return 409, "loaded already"
            if len(LOADED) >= CAPACITY:
                return 507, "no room"
            LOADED[request["model_name"]] = word
        return 200, ""

    def answer(self, status, text):
        """Status and body."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """No access log."""


server = ThreadingHTTPServer(("0.0.0.0", 8080), Handler)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
server.serve_forever()
