"""`train` and `serve` of the tiny image: predicts the mean label, and keeps the container contract.

It exists to try the toolkit and the conformance suite where no real image is built. The environment
variable FAULT, set in an image made for it, breaks exactly one rule, to see that its test fails.
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

FAULT = os.environ.get("FAULT", "")
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


def check_for_fault():
    """What a train with one of these faults would insist on."""
    if FAULT == "needs-content-type":
        read_config("inputdataconfig")["train"]["ContentType"]
    if FAULT == "needs-extra-file":
        read_config("init-config")
    if FAULT == "needs-interface":
        interface = read_config("resourceconfig")["network_interface_name"]
        assert Path("/sys/class/net", interface).exists(), f"no interface {interface}"
    if FAULT == "needs-network":
        assert Path("/sys/class/net/eth0").exists(), "no network"
    if FAULT == "lists-config":
        for path in (BASE / "input" / "config").iterdir():
            json.loads(path.read_text())
    if FAULT == "needs-identifiers":
        assert all(name.isidentifier() for name in read_config("inputdataconfig")), "not a valid identifier"
    if FAULT == "lists-channels":
        assert {path.name for path in (BASE / "input" / "data").iterdir()} == set(
            read_config("inputdataconfig")
        ), "odd channels"


def read_hyperparameters():
    """Name -> number, without the names that the platform reserves."""
    found = read_config("hyperparameters")
    if FAULT != "passes-tuning-name":
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
    on_stop = signal.SIG_IGN if FAULT == "ignores-sigterm" else lambda *_: sys.exit(143)
    signal.signal(signal.SIGTERM, on_stop)
    if FAULT == "buffers-lines":  # whatever PYTHONUNBUFFERED says
        sys.stdout = open(1, "w", buffering=65536, closefd=False)  # noqa: SIM115
    check_for_fault()
    hyperparameters = read_hyperparameters()
    model = BASE / "model" / "model.json"
    if FAULT == "half-written-model":
        model.write_text("{")
    files = [path for path in sorted((BASE / "input" / "data" / "train").rglob("*")) if path.is_file()]
    if not files:
        raise UserError("Channel train holds no file. Give one with --channel train=PATH.")
    rows = [row for path in files for row in rows_of(path.read_text(), path.name)]
    mean = sum(row[-1] for row in rows) / len(rows)
    for epoch in range(hyperparameters.get("epochs", 1)):
        print(f"epoch={epoch}; train-mean:{mean};", flush=FAULT != "buffers-lines")
        time.sleep(hyperparameters.get("pause", 0))
    if not is_leader():  # a model of one name from two hosts would be one too many
        return
    model.write_text(
        json.dumps({"mean": mean * hyperparameters.get("scale", 1), "features": len(rows[0]) - 1})
    )
    if FAULT == "saves-a-link":
        (BASE / "model" / "latest").symlink_to("/opt/ml/model/model.json")
    if FAULT == "saves-privately":
        model.chmod(0o600)
    (BASE / "output" / "data" / "metrics.json").write_text(json.dumps({"mean": mean}))
    if FAULT == "failure-file-on-success":
        (BASE / "output" / "failure").write_text("All is well.")


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive and chunked requests."""

    protocol_version = "HTTP/1.1"
    model = None

    def do_GET(self):
        """/ping, and 404 for all else."""
        if self.path == "/ping":
            if FAULT == "slow-ping" and threading.active_count() > 6:
                time.sleep(5)
            self.answer(200 if self.model or FAULT == "static-ping" else 503, b"")
        elif self.path == "/metrics" and FAULT == "metrics-a-request":
            self.answer(200, "".join(f"request_{number} 1\n" for number in range(self.server.seen)).encode())
        elif FAULT == "unknown-path-kills":
            os._exit(3)
        else:
            self.answer(500 if FAULT == "unknown-path-500" else 404, b"")

    def do_POST(self):
        """/ping and /invocations."""
        body = self.body()
        if self.path == "/ping" and FAULT != "no-post-ping":
            self.answer(200, b"")
        elif self.path == "/invocations":
            with self.server.busy:
                self.server.requests += 1
                self.server.seen += 1
            self.invoke(body)
            with self.server.busy:
                self.server.requests -= 1
                self.server.busy.notify_all()
        else:
            self.answer(404, b"")

    def invoke(self, body):
        """One prediction for each CSV row."""
        media_type = self.headers.get("Content-Type")
        if FAULT == "needs-content-type-header" and not media_type:
            os._exit(4)
        if FAULT != "no-parameters":
            media_type = (media_type or "text/csv").partition(";")[0].lower()
        if media_type not in {"text/csv", "application/octet-stream", "*/*"}:
            status = 500 if FAULT == "bad-type-500" else 415
            return self.answer(status, json.dumps({"error": f"{media_type} is not taken"}).encode())
        accepted = {
            item.partition(";")[0].strip() for item in (self.headers.get("Accept") or "*/*").split(",")
        }
        if not accepted & {"*/*", "text/csv"} and FAULT != "ignores-accept":
            return self.answer(406, json.dumps({"error": "only text/csv"}).encode())
        if FAULT == "small-limit" and len(body) > 8_000_000:
            return self.answer(413, json.dumps({"error": "too large"}).encode())
        if FAULT == "dies-at-garbage" and b"," not in body:
            os._exit(5)
        try:
            rows = rows_of(body.decode(errors="replace"), "payload", self.model["features"])
            if not rows:
                raise UserError("The payload is empty.")
        except UserError as error:
            text = "Traceback (most recent call last):" if FAULT == "traceback" else str(error)
            return self.answer(500 if FAULT == "garbage-500" else 400, json.dumps({"error": text}).encode())
        time.sleep(len(rows) / 50_000)  # a large request takes long enough to be interrupted
        text = "\n".join(str(self.model["mean"]) for _ in rows[: 1 if FAULT == "one-answer" else None])
        return self.answer(200, text.encode(), "text/csv")

    def body(self):
        """The request's body, chunked or not."""
        if self.headers.get("Transfer-Encoding") != "chunked" or FAULT == "no-chunked":
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

    def handle_expect_100(self):
        """The interim answer to `Expect: 100-continue`."""
        if FAULT != "refuses-to-expect":
            return super().handle_expect_100()
        self.send_error(417)
        return False

    def log_message(self, *_):
        """No access log."""


class Server(ThreadingHTTPServer):
    """Many connections at once."""

    request_queue_size = 128

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.requests = self.seen = 0
        self.busy = threading.Condition()

    def finish_requests(self):
        """Until every request that has arrived is answered."""
        with self.busy:
            self.busy.wait_for(lambda: not self.requests)


def serve():
    """Until SIGTERM."""
    port = 8080 if FAULT == "fixed-port" else int(os.environ.get("SAGEMAKER_BIND_TO_PORT") or 8080)
    host = "127.0.0.1" if FAULT == "loopback-only" else "0.0.0.0"
    server = Server((host, port), Handler)
    if FAULT == "writes-to-model":
        (BASE / "model" / "cache").write_text("")
    if FAULT == "writes-home":
        Path("/root/cache").write_text("")
    if FAULT == "needs-network":
        assert Path("/sys/class/net/eth0").exists(), "no network"
    if FAULT == "listens-elsewhere":
        Handler.management = Server((host, 8081), Handler)
    if FAULT == "takes-memory":
        Handler.cache = b"x" * 1_200_000_000
    if FAULT == "reads-batch-word":
        assert os.environ.get("SAGEMAKER_BATCH", "false") in {"true", "false"}, "SAGEMAKER_BATCH is unknown"
    stop = (
        signal.SIG_IGN
        if FAULT == "ignores-sigterm"
        else lambda *_: threading.Thread(target=server.shutdown).start()
    )
    signal.signal(signal.SIGTERM, stop)
    try:
        Handler.model = json.loads((BASE / "model" / "model.json").read_text())
    except (OSError, ValueError) as error:
        if FAULT != "static-ping":
            raise UserError(f"/opt/ml/model/model.json cannot be read: {error}") from None
    print(f"Listening on {port}", flush=True)
    server.serve_forever(poll_interval=0.05)
    if FAULT != "drops-requests":
        server.finish_requests()
    sys.exit(9 if FAULT == "dirty-stop" else 0)


def main():
    """`train` or `serve`, by the word or by the program's name."""
    word = sys.argv[-1] if sys.argv[-1] in {"train", "serve"} else Path(sys.argv[0]).name
    try:
        {"train": train, "serve": serve}[word]()
    except Exception as error:
        text = f"{error}\n"
        if FAULT == "traceback-first":
            text = "Traceback (most recent call last):\n" + "  frame\n" * 300 + text
        print(text, file=sys.stderr, flush=True)
        if FAULT != "no-failure-file" and word == "train":
            (BASE / "output" / "failure").write_text(text)
        sys.exit(0 if FAULT == "exit-zero" else 1)


main()
