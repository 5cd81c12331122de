"""CodeBuild and CloudWatch Logs on loopback, and clients that talk to them."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from tests.codebuild.account import Account
from tests.codebuild.fake_aws import ACCOUNT, REGION, FakeAws, serve
from tests.codebuild.runner import Runner
from toolkit import cli
from toolkit.aws.session import Session
from toolkit.codebuild import build_watch
from toolkit.codebuild.permissions import trust_policy
from toolkit.codebuild.remote_build import Listener
from toolkit.codebuild.roles import DEFAULT_NAME


@pytest.fixture(scope="session")
def served() -> Iterator[FakeAws]:
    fake = FakeAws()
    with serve(fake):
        yield fake


@pytest.fixture
def fake(served: FakeAws) -> FakeAws:
    served.reset()
    return served


@pytest.fixture(scope="session")
def client(served: FakeAws):
    """Makes a boto3 client of one of the two services."""

    def make(service: str):
        return boto3.client(
            service,
            endpoint_url=served.address,
            region_name=REGION,
            aws_access_key_id="none",
            aws_secret_access_key="none",
            config=Config(retries={"total_max_attempts": 1}),
        )

    return make


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of S3, ECR, IAM and STS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """Sees, and judges, every call that is made through a `Session`."""
    made, usual = Account(), Session.client
    monkeypatch.setattr(Session, "client", lambda *arguments: made.watch(usual(*arguments)))
    return made


@pytest.fixture
def aws(
    account: Account, fake: FakeAws, moto: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Session:
    """The session of somebody with credentials, in an account that has the role of builds and nothing else.

    Its environment is that of this process.
    """
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": moto,
        "AWS_ENDPOINT_URL_CODEBUILD": fake.address,
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": fake.address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(f"{moto}/moto-api/reset", data=b"").close()
    session = Session()
    make_role(session)
    account.uses.clear()
    return session


def make_role(session: Session) -> None:
    """Give the account the role of builds."""
    trust = json.dumps(trust_policy())
    session.client("iam").create_role(RoleName=DEFAULT_NAME, AssumeRolePolicyDocument=trust)


@pytest.fixture
def runner(fake: FakeAws, aws: Session, moto: str, tmp_path: Path) -> Iterator[Runner]:
    """Runs the builds that are started."""
    s3 = boto3.client("s3", endpoint_url=moto, region_name=REGION)  # nobody judges what CodeBuild may
    made = Runner(fake, s3, tmp_path / "builds", os.environ)
    yield made
    made.join()


class Heard:
    """What a build lets hear."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.listener = Listener(self.lines.append, self.notes.append)

    def printed(self) -> list[str]:
        """What the commands printed."""
        return [line for line in self.lines if not line.startswith("[Container]")]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A build context of one file."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "words.txt").write_text("one\ntwo\n")
    return folder


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_watch, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(build_watch, "QUIET_SECONDS", 0.02)


@pytest.fixture
def printed(aws, capsys):
    """A policy as `build.py iam` prints it."""

    def print_policy(*arguments):
        assert cli.main(["iam", *arguments, "--account", ACCOUNT]) == 0
        return json.loads(capsys.readouterr().out)

    return print_policy
