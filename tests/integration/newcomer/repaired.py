"""The same model after its report was followed, word by word: see `app.py` for where it began."""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = {"mean": 2.0}  # no pickle, and not below /opt/ml, where the platform's own files hide it
LOG = Path("/tmp/requests.log")


class Handler(BaseHTTPRequestHandler):
    """Both routes, over HTTP/1.1."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """/ping."""
        if self.path != "/ping":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        """/invocations; the type is a default of its own where the client names none."""
        body = self.body()
        if self.path != "/invocations":
            self.send_error(404)
            return
        with LOG.open("a") as log:
            log.write("a request\n")
        answer = json.dumps([MODEL["mean"] for _ in json.loads(body)]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def body(self):
        """Of known length, or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = bytearray()
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


class Server(ThreadingHTTPServer):
    """A thread for each client, and a queue for those that come at once."""

    request_queue_size = 1024


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("Running on http://0.0.0.0:8080", flush=True)
Server(("0.0.0.0", 8080), Handler).serve_forever()
