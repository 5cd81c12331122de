"""What botocore raises, made by botocore itself: against a server that answers as AWS does, or not at all."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.config import Config

from toolkit.aws import session as aws_session
from toolkit.aws.errors import explained
from toolkit.aws.regions import partition_of, regions_of
from toolkit.aws.session import Session
from toolkit.errors import ToolkitError, WorkError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    config = Config(connect_timeout=5, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})
    monkeypatch.setattr(aws_session, "_CONFIG", config)


@pytest.fixture
def answer(monkeypatch):
    """Call with an error code and a message: every call of AWS is answered so."""
    state = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps({"__type": state["code"], "message": state["message"]}).encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")

    def set_answer(code, message):
        state.update(code=code, message=message)

    yield set_answer
    server.shutdown()
    server.server_close()


def failure(region="eu-west-1"):
    client = Session(region).client("ecr")
    with pytest.raises(ToolkitError) as caught, explained(client):
        client.describe_repositories()
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("code", "message", "said", "cure"),
    [
        ("ExpiredTokenException", "The security token is expired", "have expired", "aws login"),
        ("UnrecognizedClientException", "The token is invalid.", "does not accept", "may not be enabled"),
        (
            "AccessDeniedException",
            "User: arn:aws:iam::1:user is not authorized to perform: ecr:DescribeRepositories on resource: r",
            "the permission ecr:DescribeRepositories is missing in eu-west-1",
            "./build.py iam",
        ),
        (
            "AccessDeniedException",
            "No.",
            "the permission ecr:DescribeRepositories is missing",
            "./build.py iam",
        ),
        ("OptInRequired", "You are not subscribed", "You are not subscribed", "Enable the region"),
    ],
)
def test_a_refusal_of_aws_is_a_cause_and_a_cure(answer, code, message, said, cure):
    answer(code, message)
    error = failure()
    assert said in error.message
    assert cure in error.cure
    assert error.exit_code == 2


def test_throttling_and_what_nobody_expects_are_failed_work(answer):
    answer("ThrottlingException", "Rate exceeded")
    assert isinstance(failure(), WorkError)
    answer("LimitExceededException", "100000 repositories are there")
    assert "ecr:DescribeRepositories in eu-west-1: LimitExceededException: 100000" in failure().message


def test_an_address_where_nobody_answers_is_named(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        error = failure()
    assert address in error.message
    assert isinstance(error, WorkError)


def test_missing_credentials_name_the_commands_that_bring_them(monkeypatch, answer):
    answer("None", "")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = failure()
    assert "no AWS credentials" in error.message
    assert "aws configure" in error.cure


def test_an_unknown_profile_is_named():
    with pytest.raises(ToolkitError, match="nobody-knows-it"):
        Session("eu-west-1", profile="nobody-knows-it")


def test_a_region_is_needed_and_checked(monkeypatch):
    with pytest.raises(ToolkitError, match="no AWS region is chosen"):
        _ = Session().region
    monkeypatch.setenv("AWS_REGION", "eu-wst-1")
    with pytest.raises(ToolkitError, match="Did you mean eu-west-1"):
        Session()
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    assert Session().region == "eu-west-2"
    assert Session("us-east-1").region == "us-east-1"


@pytest.mark.contract("CB-13")
def test_partitions_have_domains_of_their_own():
    assert partition_of("eu-west-1").domain == "amazonaws.com"
    assert partition_of("cn-north-1").domain == "amazonaws.com.cn"
    assert partition_of("us-gov-west-1").name == "aws-us-gov"
    assert "eu-west-1" in regions_of("sagemaker")
    assert regions_of("ecr", "aws-cn") == ["cn-north-1", "cn-northwest-1"]
