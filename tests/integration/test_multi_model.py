"""A multi-model endpoint: the platform's half of the model API, with a container that has little room."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.endpoints import eventually
from tests.integration import tiny_image
from toolkit.artifacts import pack
from toolkit.errors import ToolkitError
from toolkit.hosting.api_errors import ApiError
from toolkit.hosting.client import Call, EndpointClient
from toolkit.hosting.fleet import ContainerDefinition
from toolkit.hosting.limits import Limits
from toolkit.hosting.local_endpoint import EndpointConfig, LocalEndpoint


@pytest.fixture(scope="module")
def image(tiny: str) -> Iterator[str]:
    with tiny_image.variant(
        "multi",
        "LABEL com.amazonaws.sagemaker.capabilities.multi-models=true",
        'ENTRYPOINT ["python3", "-u", "/usr/local/lib/serve_many.py"]',
        "ENV CAPACITY=2",
    ) as tag:
        yield tag


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    directory = tmp_path / "prefix"
    for name in ("one", "two", "three", "slow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "word").write_text(name)
        (directory / "sub").mkdir(parents=True, exist_ok=True)
        pack(tmp_path / name, directory / f"{name}.tar.gz")
    (directory / "sub" / "a directory").mkdir()
    (directory / "sub" / "a directory" / "word").write_text("four")
    return directory


class Asked:
    """An endpoint that is asked, and what it said."""

    def __init__(self, endpoint: LocalEndpoint, said: list[str]) -> None:
        self.endpoint, self.said = endpoint, said
        self.client = EndpointClient(endpoint.url)

    def __call__(self, model: str | None, body: bytes = b"") -> str:
        return self.client.invoke(Call(body, target_model=model)).text

    def events(self) -> list[str]:
        """Loads and unloads, without their times."""
        return [line.partition(" in ")[0] for line in self.said if line.startswith(("Loaded", "Unloaded"))]


@pytest.fixture
def ask(image: str, prefix: Path, request: pytest.FixtureRequest) -> Iterator[Asked]:
    said: list[str] = []
    options = getattr(request, "param", {})
    config = EndpointConfig("many", (ContainerDefinition(image),), models=prefix, **options)
    with LocalEndpoint(config, said.append) as endpoint:
        yield Asked(endpoint, said)


@pytest.mark.contract("MME-03", "MME-13")
def test_a_model_is_loaded_when_it_is_first_asked_for(ask: Asked) -> None:
    assert ask("one.tar.gz") == "one one.tar.gz"
    assert ask("one.tar.gz") == "one one.tar.gz"
    assert ask.events() == ["Loaded one.tar.gz"]


@pytest.mark.contract("MME-07")
def test_the_least_recently_used_model_makes_room(ask: Asked) -> None:
    for name in ("one", "two", "one", "three", "one"):
        assert ask(f"{name}.tar.gz").startswith(name)
    assert ask.events() == [
        "Loaded one.tar.gz",
        "Loaded two.tar.gz",
        "Unloaded two.tar.gz",
        "Loaded three.tar.gz",
    ]


@pytest.mark.contract("MME-12")
def test_a_model_that_the_container_has_lost_is_loaded_again(ask: Asked) -> None:
    ask("one.tar.gz", b"forget")
    assert ask("one.tar.gz") == "one one.tar.gz"
    assert ask.events() == ["Loaded one.tar.gz", "Loaded one.tar.gz"]


@pytest.mark.contract("MME-14")
def test_a_directory_with_a_blank_in_its_name_is_a_model(ask: Asked) -> None:
    with pytest.raises(ApiError, match="failed to satisfy constraint"):
        ask("sub/a directory")
    (ask.endpoint.config.models / "sub" / "a directory").rename(
        ask.endpoint.config.models / "sub" / "a+b%20c"
    )
    assert ask("sub/a+b%20c").startswith("four")


def test_a_model_that_is_put_there_later_counts(ask: Asked, prefix: Path) -> None:
    with pytest.raises(ApiError, match="no such object") as caught:
        ask("late")
    assert caught.value.code == "ValidationError"
    (prefix / "late").mkdir()
    (prefix / "late" / "word").write_text("five")
    assert ask("late") == "five late"


def test_nothing_outside_of_the_prefix_is_a_model(ask: Asked) -> None:
    with pytest.raises(ApiError, match="no such object"):
        ask("../one")


@pytest.mark.contract("MME-08")
def test_a_failed_load_is_the_clients_model_error(ask: Asked, prefix: Path) -> None:
    (prefix / "broken").mkdir()
    (prefix / "broken" / "no-word").write_text("")
    with pytest.raises(ApiError) as caught:
        ask("broken")
    assert (caught.value.code, caught.value.fields["OriginalStatusCode"]) == ("ModelError", 400)


def test_an_archive_that_is_none_is_told(ask: Asked, prefix: Path) -> None:
    (prefix / "text.tar.gz").write_text("no archive")
    with pytest.raises(ApiError, match="Failed to extract model data"):
        ask("text.tar.gz")


def test_a_target_model_is_required(ask: Asked) -> None:
    with pytest.raises(ApiError, match="TargetModel is required"):
        ask(None)


@pytest.mark.contract("MME-16")
@pytest.mark.parametrize("ask", [{"limits": Limits(invocation=1.0)}], indirect=True)
def test_loading_goes_on_after_the_first_client_has_given_up(ask: Asked) -> None:
    with pytest.raises(ApiError) as caught:
        ask("slow.tar.gz")
    assert (caught.value.code, caught.value.status) == ("ModelNotReadyException", 429)
    answer = ""
    while not answer:
        try:
            answer = ask("slow.tar.gz")
        except ApiError as error:
            assert error.code == "ModelNotReadyException"
    assert answer == "slow slow.tar.gz"
    assert ask.events() == ["Loaded slow.tar.gz"]


@pytest.mark.contract("MME-17")
@pytest.mark.parametrize("ask", [{"keeps_loaded": False}], indirect=True)
def test_without_a_cache_a_model_goes_after_its_request(ask: Asked) -> None:
    container = ask.endpoint.fleet._endpoints[0]
    for _ in range(2):
        assert ask("one.tar.gz") == "one one.tar.gz"
        eventually(lambda: container.request("GET", "/models").text == '{"models": []}', "the model is gone")


@pytest.mark.contract("MME-01")
def test_an_image_without_the_label_is_refused(tiny: str, prefix: Path) -> None:
    with pytest.raises(ToolkitError, match="multi-models=true"):
        LocalEndpoint(EndpointConfig("x", (ContainerDefinition(tiny),), models=prefix), print).__enter__()


@pytest.mark.contract("MME-13")
def test_a_model_directory_whose_files_have_changed_is_another_model(ask: Asked, prefix: Path) -> None:
    (prefix / "work" / "deep").mkdir(parents=True)
    (prefix / "work" / "word").write_text("before")
    assert ask("work") == "before work"
    (prefix / "work" / "word").write_text("afterwards")
    assert ask("work") == "afterwards work"


@pytest.mark.contract("MME-17", "MME-19")
@pytest.mark.parametrize("ask", [{"keeps_loaded": False}], indirect=True)
def test_without_a_cache_models_come_and_go_and_every_client_has_its_answer(ask: Asked) -> None:
    names = ["one.tar.gz", "two.tar.gz"] * 100
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(ask, names))
    assert answers == [f"{name.partition('.')[0]} {name}" for name in names]
