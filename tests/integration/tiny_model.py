"""`train` and `serve` of the tiny image: predicts the mean label, and keeps the container contract.

It exists to try the toolkit and the conformance suite where no real image is built. The environment
variable FAULT, set in an image made for it, names a change of tests/zoo/faults that breaks a rule.
"""

import csv
import io
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = Path("/opt/ml")
KNOWN = {"scale", "epochs", "pause"}


class UserError(Exception):
    """The person who called has to change something."""


def rows_of(text, origin, width=None):
    """CSV text -> rows of numbers; raises UserError with the line and the column."""
    rows = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if width and len(row) != width:
            raise UserError(f"{origin} line {number}: {len(row)} columns instead of {width}.")
        width = width or len(row)
        try:
            rows.append([float(value) for value in row])
        except ValueError:
            bad = next(value for value in row if not value.replace(".", "").replace("-", "").isdigit())
            raise UserError(
                f"{origin} line {number} column {row.index(bad) + 1}: {bad!r} is no number."
            ) from None
    return rows


def read_config(name):
    """One JSON file of /opt/ml/input/config."""
    return json.loads((BASE / "input" / "config" / f"{name}.json").read_text())


def read_hyperparameters():
    """Name -> number, without the names that the platform reserves."""
    found = read_config("hyperparameters")
    found.pop("_tuning_objective_metric", None)
    found = {name: json.loads(text) for name, text in found.items() if not name.startswith("sagemaker_")}
    if unknown := [name for name in found if name not in KNOWN]:
        raise UserError(
            f"Hyperparameter {', '.join(unknown)} is unknown. Known are {', '.join(sorted(KNOWN))}."
        )
    return found


def is_leader():
    """True on the first of the sorted hosts."""
    if not (BASE / "input" / "config" / "resourceconfig.json").exists():
        return True
    resources = read_config("resourceconfig")
    return resources["current_host"] == min(resources["hosts"])


def train():
    """One job; prints the mean after each epoch."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hyperparameters = read_hyperparameters()
    model = BASE / "model" / "model.json"
    files = [path for path in sorted((BASE / "input" / "data" / "train").rglob("*")) if path.is_file()]
    if not files:
        raise UserError("Channel train holds no file. Give one with --channel train=PATH.")
    rows = [row for path in files for row in rows_of(path.read_text(), path.name)]
    mean = sum(row[-1] for row in rows) / len(rows)
    for epoch in range(hyperparameters.get("epochs", 1)):
        print(f"epoch={epoch}; train-mean:{mean};", flush=True)
        time.sleep(hyperparameters.get("pause", 0))
    if not is_leader():  # a model of one name from two hosts would be one too many
        return
    model.write_text(
        json.dumps({"mean": mean * hyperparameters.get("scale", 1), "features": len(rows[0]) - 1})
    )
    (BASE / "output" / "data" / "metrics.json").write_text(json.dumps({"mean": mean}))


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive and chunked requests."""

    protocol_version = "HTTP/1.1"
    model = None

    def do_GET(self):
        """/ping, and 404 for all else."""
        if self.path == "/ping":
            self.answer(200 if self.model else 503, b"")
        else:
            self.answer(404, b"")

    def do_POST(self):
        """/ping and /invocations."""
        body = self.body()
        if self.path == "/ping":
            self.answer(200, b"")
        elif self.path == "/invocations":
            with self.server.busy:
                self.server.requests += 1
            self.invoke(body)
            with self.server.busy:
                self.server.requests -= 1
                self.server.busy.notify_all()
        else:
            self.answer(404, b"")

    def invoke(self, body):
        """One prediction for each CSV row."""
        media_type = (self.headers.get("Content-Type") or "text/csv").partition(";")[0].lower()
        if media_type not in {"text/csv", "application/octet-stream", "*/*"}:
            return self.answer(415, json.dumps({"error": f"{media_type} is not taken"}).encode())
        accepted = {
            item.partition(";")[0].strip() for item in (self.headers.get("Accept") or "*/*").split(",")
        }
        if not accepted & {"*/*", "text/csv"}:
            return self.answer(406, json.dumps({"error": "only text/csv"}).encode())
        try:
            rows = rows_of(body.decode(errors="replace"), "payload", self.model["features"])
            if not rows:
                raise UserError("The payload is empty.")
        except UserError as error:
            return self.answer(400, json.dumps({"error": str(error)}).encode())
        time.sleep(len(rows) / 50_000)  # a large request takes long enough to be interrupted
        text = "\n".join(str(self.model["mean"]) for _ in rows)
        return self.answer(200, text.encode(), "text/csv")

    def body(self):
        """The request's body, chunked or not."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status, body, media_type="application/json"):
        """Status, headers, body."""
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """No access log."""


class Server(ThreadingHTTPServer):
    """Many connections at once."""

    request_queue_size = 128

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.requests = 0
        self.busy = threading.Condition()

    def finish_requests(self):
        """Until every request that has arrived is answered."""
        with self.busy:
            self.busy.wait_for(lambda: not self.requests)


def serve():
    """Until SIGTERM."""
    sys.setswitchinterval(0.0005)  # seconds; a ping waits for one turn of each thread that is busy (HOST-45)
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)
    server = Server(("0.0.0.0", port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    Handler.model = read_model()
    print(f"Listening on {port}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.finish_requests()


def read_model():
    """What train has left; raises UserError."""
    try:
        return json.loads((BASE / "model" / "model.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"/opt/ml/model/model.json cannot be read: {error}") from None


def explain(error):
    """The cause, for FailureReason."""
    (BASE / "output" / "failure").write_text(f"{error}\n")


def main():
    """`train` or `serve`, by the word or by the program's name."""
    word = sys.argv[-1] if sys.argv[-1] in {"train", "serve"} else Path(sys.argv[0]).name
    try:
        {"train": train, "serve": serve}[word]()
    except Exception as error:
        print(error, file=sys.stderr, flush=True)
        if word == "train":
            explain(error)
        sys.exit(1)


if "FAULT" in os.environ:
    import faults

    faults.apply(os.environ["FAULT"], sys.modules[__name__])
main()
