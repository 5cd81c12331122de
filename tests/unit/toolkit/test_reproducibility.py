"""Two builds beside each other, file by file."""

from __future__ import annotations

from toolkit.building.reproducibility import FileDifference, differences


def test_differences_come_lowest_layer_first_with_a_reason():
    first = {(1, "a"): "1", (0, "z"): "1", (1, "gone"): "1", (1, "same"): "1"}
    second = {(1, "a"): "2", (0, "z"): "2", (1, "new"): "1", (1, "same"): "1"}
    assert differences(first, second) == [
        FileDifference(0, "z", "differs"),
        FileDifference(1, "a", "differs"),
        FileDifference(1, "gone", "only in the first"),
        FileDifference(1, "new", "only in the second"),
    ]
