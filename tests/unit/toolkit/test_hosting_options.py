"""The options of serve and invoke: what goes together, what SageMaker takes, what they become."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit import cli
from toolkit.commands import invoke, serve
from toolkit.errors import ToolkitError
from toolkit.hosting.api_errors import ApiError, model_error
from toolkit.hosting.arguments import endpoint_config
from toolkit.hosting.fleet import ContainerDefinition
from toolkit.hosting.limits import MB
from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint
from toolkit.jobs.options import read_environment_file


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return parser.parse_args(words)


@pytest.mark.contract("HOST-42", "HOST-95", "PIPE-04", "PIPE-09")
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["a:1", "--serverless", "2048", "--multi-model", "x"], "--multi-model"),
        (["--serverless", "2048", "--pipeline", "a:1,b:1"], "--pipeline"),
        (["a:1", "--serverless", "2048", "--isolated"], "--isolated"),
        (["a:1", "--max-concurrency", "3"], "--serverless 2048"),
        (["a:1", "--direct"], "--pipeline"),
        (["a:1", "--no-model-cache"], "--multi-model"),
        (["--pipeline", "a:1,b:1", "--multi-model", "x"], "--multi-model"),
        (["--pipeline", "a:1"], "at least two"),
        (["--pipeline", "x=a:1,x=b:1"], "two containers x"),
        (["--pipeline", "a:1,b:1", "--model", "c=x"], "no container c"),
        (["a:1", "--model", "none", "--startup-timeout", "59"], "60 to 3600"),
        (["a:1", "--model", "x", "--model", "y"], "one model"),
        (["a:1", "--model", "none", "--cpus", "0"], "--cpus 0"),
        (["a:1", "--model", "none", "--name", "a_b"], "--name a_b"),
        (["a:1", "--model", "none", "--name", "a" * 64], "at most 63"),
        (["--pipeline", "a/b=a:1,c=b:1", "--model", "a/b=none", "--model", "c=none"], "--pipeline a/b"),
        ([], "No image"),
    ],
)
def test_options_that_do_not_go_together_are_named(words, named) -> None:
    with pytest.raises(ToolkitError, match=named):
        endpoint_config(parsed(*words), None)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused_by_name(port) -> None:
    with pytest.raises(ToolkitError, match=f"--port {port} is no port"):
        endpoint_config(parsed("a:1", "--model", "none"), port)


def test_a_port_that_is_taken_is_told_before_anything_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = EndpointConfig("an-endpoint", (ContainerDefinition("no-such-image:1"),), port=port)
        with pytest.raises(ToolkitError, match=f"Port {port} of this machine is taken"):
            LocalEndpoint(config, print).__enter__()


@pytest.mark.contract("HOST-10")
@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"1A": "x"}, "--environment 1A"),
        ({"A-B": "x"}, "--environment A-B"),
        ({"A": "x" * 1025}, "1024 characters"),
        ({f"A{number}": "" for number in range(101)}, "101 variables"),
        ({f"A{number}": "x" * 1000 for number in range(40)}, "32 KB"),
    ],
)
def test_variables_that_create_model_refuses_are_refused(environment, named) -> None:
    with pytest.raises(ToolkitError, match=named):
        EndpointConfig("an-endpoint", (ContainerDefinition("a:1", environment=environment),))


@pytest.mark.parametrize("words", [["a:1", "--multi-model", "x"], ["--pipeline", "a:1,b:1"]])
def test_code_under_work_is_that_of_one_model(words, tmp_path) -> None:
    models = [word for name in ("container-1", "container-2") for word in ("--model", f"{name}=none")]
    with pytest.raises(ToolkitError, match="--code is laid over the code of one model"):
        endpoint_config(parsed(*words, *(models if "--pipeline" in words else [])), None, tmp_path)


def test_a_dry_run_shows_the_model_and_the_code_that_would_be_served(tmp_path, capsys) -> None:
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / "model.tar.gz").write_text("")
    code = tmp_path / "handlers"
    call = ["serve", "a:1", "--model", str(tmp_path), "--code", str(code), "--port", "0", "--dry-run"]
    assert cli.main(call) == 0
    shown = capsys.readouterr().out
    assert f"tar -xzf {tmp_path / 'model.tar.gz'}" in shown
    assert f"{code}:/opt/ml/model/code:ro" in shown
    assert cli.main([*call, "--model", str(tmp_path / "none")]) == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--model", "x"], "--model is of a container"),
        (["--serverless", "2048"], "--serverless is of a container"),
        (["--env", "A=b"], "--environment is of a container"),
        (["a:1", "--url", "http://127.0.0.1:1"], "--url names a running endpoint"),
        (["--concurrency", "2"], "needs --repeat 2"),
    ],
)
def test_options_that_would_do_nothing_are_refused(words, named, capsys) -> None:
    assert cli.main(["invoke", "--text", "1,2", *words]) == 2
    assert named in capsys.readouterr().err


def test_a_pipeline_has_its_models_by_name() -> None:
    config = endpoint_config(
        parsed("--pipeline", "a:1,last=b:1", "--model", "container-1=x", "--model", "last=none"), 80
    )
    assert [(one.hostname, one.image, one.model) for one in config.definitions] == [
        ("container-1", "a:1", Path("x")),
        ("last", "b:1", None),
    ]


@pytest.mark.contract("HOST-92", "HOST-93")
def test_serverless_sets_user_memory_and_file_system() -> None:
    instance = endpoint_config(parsed("a:1", "--model", "none", "--serverless", "1024"), None).instance
    assert (instance.user, instance.read_only, instance.surroundings.memory) == ("993:990", True, 1024 * MB)


def test_an_environment_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("# a comment\nA=1\n\nB=x=y\n")
    assert read_environment_file(path) == {"A": "1", "B": "x=y"}
    path.write_text("A=1\nno pair\n")
    with pytest.raises(ToolkitError, match="line 2"):
        read_environment_file(path)


@pytest.fixture
def error() -> Iterator[ApiError]:
    yield model_error("an-endpoint", "primary", 400, '{"error": "column 3"}')


def test_an_error_is_shown_with_its_cause_first(capsys, error: ApiError) -> None:
    invoke._show_error(error, as_json=True)
    shown = capsys.readouterr()
    assert shown.err.startswith(
        'error: the container answered 400: {"error": "column 3"}\n  SageMaker raises ModelError'
    )
    assert json.loads(shown.out)["OriginalStatusCode"] == 400
