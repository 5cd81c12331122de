"""`build.py verify`, as a person runs it who knows nothing of the suite behind it."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration import tiny_image
from tests.registry import registry
from toolkit.building.images import ROOT
from toolkit.namespace import LOCAL_NAMESPACE

NEWCOMER = Path(__file__).parent / "newcomer"


def verify(image: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "build.py"), "verify", image, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def verified(image: str, *options: str) -> tuple[int, dict[str, Any]]:
    result = verify(image, "--json", *options)
    assert result.returncode in {0, 1}, result.stderr
    return result.returncode, json.loads(result.stdout)


def by_status(document: dict[str, Any], status: str) -> set[str]:
    return {rule["id"] for rule in document["rules"] if rule["status"] == status}


@pytest.fixture
def newcomer(tiny: str, tmp_path: Path) -> Iterator[str]:
    """An image as people make it before they have read anything."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.pkl").write_bytes(pickle.dumps({"mean": 2.0}))
    files = {"/app": NEWCOMER, "/opt/ml/": model}
    with tiny_image.variant("newcomer", "ENTRYPOINT python3 /app/app.py", files=files) as image:
        yield image


def test_a_newcomers_image_gets_a_report_that_is_enough_to_repair_it(newcomer: str) -> None:
    result = verify(newcomer, "--only", "HOST", "--only", "TRAIN", "--only", "IMG")
    assert result.returncode == 1, result.stderr
    for words in (
        "ENTRYPOINT is in shell form: /bin/sh -c python3 /app/app.py",
        "The server listens on 127.0.0.1:5000, and nothing on 0.0.0.0:8080.",
        "GET /ping is 501 and POST /invocations is 404",
        "The server wrote /opt/ml/model/requests.log",
        "hidden by the platform's own files: /opt/ml/model/model.pkl",
        "with `train` it starts a server as well",
        "did not pass the ping health check",
        'app.run(host="0.0.0.0", port=8080)',
        'ENTRYPOINT ["python3", "/opt/program/serve.py"]',
        "breaks 6 MUST rules",
    ):
        assert words in " ".join(result.stdout.split()), result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    # The rules of training are not left open: the image does not claim to train.
    assert "the profile names nothing to try it with" not in " ".join(result.stdout.split())


def test_a_newcomers_image_repaired_by_the_words_of_its_report_keeps_the_rules_it_broke(tiny: str) -> None:
    rules = ("HOST-03", "HOST-21", "HOST-30", "HOST-31", "HOST-57", "BATCH-07")
    # One at a time: no test waits for /ping while the server reads the 100 MB of another one.
    options = ["--serve-only", "--workers", "1", *(word for rule in rules for word in ("--only", rule))]
    options += ["--payload", str(NEWCOMER / "request.json"), "--content-type", "application/json"]
    entrypoint = 'ENTRYPOINT ["python3", "/opt/program/repaired.py"]'
    with tiny_image.variant("repaired", entrypoint, files={"/opt/program": NEWCOMER}) as image:
        code, document = verified(image, *options)
    failures = [
        (test["name"], test["seen"], test["notes"])
        for test in document["tests"]
        if test["status"] == "failed"
    ]
    assert (code, failures) == (0, [])
    assert {"HOST-03", "HOST-30", "HOST-31", "HOST-57", "BATCH-07"} <= by_status(document, "passed")


JSON_ONLY = """
import json, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def test_a_server_that_does_not_answer_the_usual_payload_breaks_a_rule_and_is_told_to_name_its_own(
    tiny: str,
) -> None:
    texts = {"/app/serve.py": (JSON_ONLY, 0o755)}
    with tiny_image.variant("json", 'ENTRYPOINT ["python3", "/app/serve.py"]', texts=texts) as image:
        result = verify(image, "--serve-only", "--only", "HOST-31")
        assert result.returncode == 1, result.stdout
        assert "Name what it takes by --payload and --content-type." in " ".join(result.stdout.split())
        body = NEWCOMER / "request.json"
        options = ("--payload", str(body), "--content-type", "application/json")
        assert verify(image, "--serve-only", "--only", "HOST-31", *options).returncode == 0
        left = ["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={image}"]
        assert subprocess.run(left, capture_output=True, check=True).stdout == b""


def test_an_image_that_keeps_the_contract_honours_it_with_no_profile_and_with_its_own(tiny: str) -> None:
    code, document = verified(
        tiny, "--only", "HOST-30", "--only", "HOST-55", "--only", "PIPE-01", "--level", "must"
    )
    assert (code, document["honours"], document["only"]) == (0, None, ["HOST-30", "HOST-55", "PIPE-01"])
    assert by_status(document, "passed") == {"HOST-30", "PIPE-01"}
    code, document = verified(tiny, "--profile", "tiny", "--only", "HOST-54", "--only", "MME-05")
    assert code == 0
    assert by_status(document, "passed") == {"HOST-54"}
    assert by_status(document, "not claimed") == {"MME-05"}


def test_an_image_without_train_and_serve_is_told_so(tiny: str) -> None:
    empty = f"{LOCAL_NAMESPACE}/conformance-empty:latest"
    with tiny_image.variant("empty", "ENV PATH=/bin") as image:
        assert image == empty
        code, document = verified(image)
    assert code == 1
    assert {"TRAIN-02", "HOST-02"} <= by_status(document, "failed")
    assert document["claims"]["serve"] == {
        "claimed": False,
        "why": "there is no `serve` on PATH, and no ENTRYPOINT",
    }


def test_a_job_that_never_ends_fails_its_tests_at_the_job_limit(tiny: str) -> None:
    hangs = (
        "#!/usr/local/bin/python3\nimport signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "while True:\n    time.sleep(0.1)\n"
    )
    with tiny_image.variant("hangs", texts={"/usr/local/bin/train": (hangs, 0o755)}) as image:
        code, document = verified(image, "--only", "TRAIN-40", "--only", "TRAIN-79", "--job-limit", "2s")
    assert code == 1
    seen = {rule["id"]: rule["reason"] for rule in document["rules"]}
    assert seen["TRAIN-40"].startswith("Stopped (MaxRuntimeExceeded) after 2")
    assert seen["TRAIN-79"] == "no line came before the job's end"


def run_action(directory: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """The last step of action.yml, with these inputs and the defaults of the others, as a runner does it."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    step = action["runs"]["steps"][-1]
    inputs = {
        name: given.get(name, declared.get("default", "")) for name, declared in action["inputs"].items()
    }
    variables = {
        variable: inputs[text.removeprefix("${{ inputs.").removesuffix(" }}")]
        for variable, text in step["env"].items()
    }
    places = {"GITHUB_ACTION_PATH": str(ROOT), "GITHUB_STEP_SUMMARY": str(directory / "summary.md")}
    shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
    environment = {**os.environ, **variables, **places}
    return subprocess.run(shell, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_the_action_of_a_workflow_leaves_its_reports_and_a_summary(tiny: str, tmp_path: Path) -> None:
    ended = run_action(tmp_path, image=tiny, only="IMG-19 IMG-22")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "breaks no MUST rule" in (tmp_path / "summary.md").read_text()
    reports = {path.name for path in (tmp_path / "sagemaker-contract").iterdir()}
    assert reports == {"report.html", "junit.xml", "badge.svg"}


def test_the_action_fails_where_the_image_does(tiny: str, tmp_path: Path) -> None:
    with tiny_image.variant("volume", "VOLUME /opt/ml") as image:
        ended = run_action(tmp_path, image=image, only="IMG-19", level="must")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "VOLUME /opt/ml" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "summary.md").read_text().count("```") == 2


def test_the_action_says_in_its_summary_that_no_image_was_named(tmp_path: Path) -> None:
    ended = run_action(tmp_path, image="")  # a runner passes an input that is required and missing as empty
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "error: No image is named." in (tmp_path / "summary.md").read_text()


def test_an_image_that_is_nowhere_is_a_fault_of_the_call() -> None:
    result = verify("nobody/has-this:1")
    assert result.returncode == 2
    assert "There is no image nobody/has-this:1 on this machine" in result.stderr


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[str]:
    """An image that the engine has pushed to a registry, and has no more; it neither trains nor serves."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("some-file"))
    with registry(tmp_path) as address:
        reference = f"{address}/looked-at:1"
        docker("import", "-", reference, given=content.getvalue())
        docker("push", reference)
        docker("rmi", reference)
        yield reference
        docker("rmi", "--force", reference)


def docker(*arguments: str, given: bytes = b"") -> None:
    subprocess.run(["docker", *arguments], input=given, check=True, capture_output=True)


def as_oci(reference: str) -> None:
    """Give the image the manifest that buildx writes by default: the same blobs under OCI's media types."""
    address, _, rest = reference.partition("/")
    name, _, tag = rest.partition(":")
    docker_type = "application/vnd.docker.distribution.manifest.v2+json"
    oci_type = "application/vnd.oci.image.manifest.v1+json"
    url = f"http://{address}/v2/{name}/manifests/{tag}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": docker_type})) as answer:
        manifest = json.load(answer)
    manifest["mediaType"] = oci_type
    manifest["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json"
    for layer in manifest["layers"]:
        layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"
    body, headers = json.dumps(manifest).encode(), {"Content-Type": oci_type}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PUT")) as answer:
        assert answer.status == 201


MANIFEST = ("--only", "IMG-01", "--only", "IMG-03", "--only", "IMG-04")


def test_the_manifest_of_an_image_in_a_registry_is_judged(remote: str) -> None:
    code, document = verified(remote, *MANIFEST)
    assert (code, by_status(document, "passed")) == (0, {"IMG-01", "IMG-03", "IMG-04"})


def test_an_image_that_was_pushed_with_an_oci_manifest_is_told_how_to_push_it(remote: str) -> None:
    as_oci(remote)
    result = verify(remote, *MANIFEST)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "media type application/vnd.oci.image.manifest.v1+json" in " ".join(result.stdout.split())
    assert "oci-mediatypes=false" in result.stdout
