"""A first container, as people write it before they know the contract: it works on a laptop only."""

import json
import pickle
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PLACE = Path("/opt/ml/model")
MODEL = pickle.loads((PLACE / "model.pkl").read_bytes())
LOG = PLACE / "requests.log"
LOG.write_text("")


class Handler(BaseHTTPRequestHandler):
    """One route of its own."""

    def do_POST(self):
        """/predict."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/predict":
            self.send_error(404)
            return
        LOG.write_text(LOG.read_text() + "a request\n")
        answer = json.dumps([MODEL["mean"] for _ in json.loads(body)]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


print("Running on http://127.0.0.1:5000", flush=True)
HTTPServer(("127.0.0.1", 5000), Handler).serve_forever()
