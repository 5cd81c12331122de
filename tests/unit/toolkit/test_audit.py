"""Vulnerabilities of a lock, asked of a server that answers as the OSV service does."""

from __future__ import annotations

import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from toolkit import cli
from toolkit.bootstrap import install_extra
from toolkit.building.audit import Accepted, audit, read_accepted
from toolkit.errors import ToolkitError

HASH = f"--hash=sha256:{'0' * 64}"
LOCK = f"torn==1.0 {HASH}\nwhole==1.0 {HASH}\nelsewhere==1.0 ; sys_platform == 'win32' {HASH}\n"
ADVISORY = {
    "id": "GHSA-1111-2222-3333",
    "aliases": ["CVE-2026-1"],
    "summary": "It is torn.",
    "affected": [
        {
            "package": {"name": "torn", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    """POST {package, version} -> {vulns: [...]}, or {} where there is none."""

    def do_POST(self):
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question["package"]["name"])
        answer = json.dumps({"vulns": [ADVISORY]} if question["package"]["name"] == "torn" else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module", autouse=True)
def _pip_audit():
    install_extra("requirements/audit.txt", "pip_audit")


@pytest.fixture
def osv():
    server = HTTPServer(("127.0.0.1", 0), Osv)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(osv, tmp_path):
    lock = tmp_path / "cpu.txt"
    lock.write_text(LOCK)

    def ask(*accepted, port=osv.server_port):
        url = f"http://127.0.0.1:{port}/v1/query"
        return audit(lock, accepted, ["--vulnerability-service", "osv", "--osv-url", url])

    return ask


def accepted(until):
    return Accepted(advisory="CVE-2026-1", package="torn", reason="never called", review_by=until)


def test_a_vulnerable_package_is_found_with_the_version_that_mends_it(ask, osv):
    found = ask()
    assert (found.audited, found.unknown) == (2, ())
    assert sorted(osv.asked) == ["torn", "whole"], "what another platform installs is not asked for"
    [finding] = found.findings
    assert (finding.package, finding.version, finding.advisory) == ("torn", "1.0", "CVE-2026-1")
    assert (finding.aliases, finding.fixed_in) == (("GHSA-1111-2222-3333",), ("1.1",))
    assert finding.counts(date(2026, 1, 1))


def test_an_accepted_advisory_counts_again_after_its_day(ask):
    [finding] = ask(accepted(date(2026, 6, 30))).findings
    assert not finding.counts(date(2026, 6, 30))
    assert finding.counts(date(2026, 7, 1))


def test_an_advisory_of_another_package_is_not_accepted(ask):
    other = accepted(date(2026, 6, 30)).model_copy(update={"package": "whole"})
    [finding] = ask(other).findings
    assert finding.accepted is None


def test_a_service_that_cannot_be_reached_is_no_clean_bill(ask, osv):
    osv.shutdown()
    osv.server_close()
    with pytest.raises(ToolkitError, match=r"could not be asked for: .*\n.*--osv-url"):
        ask()


def test_the_command_names_the_pin_and_fails(osv, monkeypatch, capsys):
    command = ["audit", "ensemble-cpu", "--osv-url", f"http://127.0.0.1:{osv.server_port}/v1/query"]
    assert cli.main(command) == 0
    assert "packages, 0 with a known vulnerability" in capsys.readouterr().out
    monkeypatch.setattr(Osv, "do_POST", every_package_is_torn)
    assert cli.main(command) == 1
    assert "CVE-2026-1: pin catboost>=1.1" in capsys.readouterr().out


def every_package_is_torn(self):
    question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
    name = question["package"]["name"]
    answer = json.dumps({"vulns": [json.loads(json.dumps(ADVISORY).replace('"torn"', f'"{name}"'))]}).encode()
    self.send_response(200)
    self.send_header("Content-Length", str(len(answer)))
    self.end_headers()
    self.wfile.write(answer)


def test_a_wrong_entry_of_the_accepted_names_its_key(tmp_path):
    path = tmp_path / "audit.toml"
    path.write_text(
        '[[accepted]]\nadvisory = "CVE-1"\npackage = "torn"\nreason = ""\nreview_by = 2026-01-01\n'
    )
    with pytest.raises(ToolkitError, match=r"audit\.toml: accepted\.0\.reason: "):
        read_accepted(path)


def test_the_accepted_of_this_checkout_can_be_read():
    assert isinstance(read_accepted(), list)
