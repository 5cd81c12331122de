"""Whatever a client sends gets an answer that is not our fault, and no traceback in the log."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.serving.invocation import Model, Request

from tests.fuzz.bodies import Shot, bodies, fuzzed, shots
from tests.fuzz.handlers import ANY_VALUES, TABULAR, check, model
from tests.fuzz.seeds import SEEDS


@pytest.fixture(scope="module")
def any_values(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model(tmp_path_factory.mktemp("any"), ANY_VALUES)


@pytest.fixture(scope="module")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model(tmp_path_factory.mktemp("tabular"), TABULAR)


@pytest.fixture(autouse=True)
def no_traceback(capfd: pytest.CaptureFixture[str]) -> Any:
    yield
    written = capfd.readouterr()
    assert "Traceback" not in written.err + written.out


@pytest.mark.contract("HOST-55", "HOST-57", "HOST-58")
@pytest.mark.parametrize("content_type", SEEDS)
def test_a_damaged_body_is_an_answer_or_a_4xx_with_its_cause(content_type, any_values, tabular):
    @fuzzed(0.5)
    @given(bodies(content_type))
    def shoot(body: bytes) -> None:
        for target in (any_values, tabular):
            check(target.run(target.answer(Request(body, content_type, None))))

    shoot()


@pytest.mark.contract("HOST-55", "HOST-56", "HOST-57", "HOST-58")
@pytest.mark.parametrize("handler", ["any_values", "tabular"])
def test_any_headers_with_any_body_are_an_answer_or_a_4xx(handler, request):
    target: Model = request.getfixturevalue(handler)

    @fuzzed()
    @given(shots())
    def shoot(shot: Shot) -> None:
        check(target.run(target.answer(Request(*shot))))

    shoot()


def test_requests_that_are_joined_get_what_each_would_get_alone(tabular):
    @fuzzed(0.5)
    @given(st.lists(shots(), min_size=2, max_size=6))
    def shoot(found: list[Shot]) -> None:
        requests = [Request(*shot) for shot in found]
        together = tabular.run(tabular.answer_together(requests))
        assert together == [tabular.run(tabular.answer(request)) for request in requests]

    shoot()


@pytest.mark.parametrize("content_type", SEEDS.keys() - {"image/png", "application/x-parquet"})
def test_every_seed_is_what_it_says(content_type, tabular, any_values):
    """Else the changes to it would only ever meet the first check."""
    requests = [Request(body, content_type, None) for body in SEEDS[content_type]]
    assert [any_values.run(any_values.answer(one)).status for one in requests] == [200] * len(requests)
    assert 200 in [tabular.run(tabular.answer(one)).status for one in requests]
