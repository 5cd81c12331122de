"""On each image of the zoo the tests of the rule that it breaks fail, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.zoo import matrix, sound
from tests.zoo.entries import Entry, zoo
from toolkit.verify import suite
from toolkit.verify.results import COULD_NOT_TELL, FAILED, TestResult

pytestmark = pytest.mark.docker
MAY_NOT_TELL = {
    "the job left nothing in /opt/ml/model, which a stopped job may",
    "the job was done before it could be taken away",
    "the image is in no registry yet, and its manifest is made by the push",
}
QUICK = zoo().quick

Found = dict[str, Future[tuple[TestResult, ...]]]


@pytest.fixture(scope="module")
def found(
    request: pytest.FixtureRequest, tiny: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Found]:
    """The results of the images that were asked for, which come one after the other."""
    items = [
        item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")
    ]
    asked = [item.callspec.params["entry"] for item in items]
    directory = tmp_path_factory.mktemp("sound")
    with sound.profiles(directory, (entry.base for entry in asked)) as profiles:
        running = matrix.Matrix(profiles)
        try:
            yield dict(zip((entry.name for entry in asked), running.start(asked), strict=True))
        finally:
            running.close()


@pytest.mark.parametrize("entry", QUICK, ids=[entry.name for entry in QUICK])
def test_only_the_tests_of_the_broken_rule_fail(entry: Entry, found: Found) -> None:
    assert matrix.differences(entry, found[entry.name].result()) == []


def test_every_test_passes_or_cannot_tell_on_the_sound_image(tiny: str) -> None:
    results = suite.run(suite.Run(tiny, "tiny", workers=3), sound.Quiet())
    assert len(results) > 150
    assert {result.name: result.seen for result in results if result.status == FAILED} == {}
    untold = [result.seen for result in results if result.status == COULD_NOT_TELL]
    assert set(untold) <= MAY_NOT_TELL
