"""Two builds beside each other, layer by layer and file by file."""

from __future__ import annotations

from toolkit.building.reproducibility import Compared, Comparison, FileDifference, differences

ONE, OTHER, LATER = Compared("1", 0), Compared("2", 0), Compared("1", 9)


def test_differences_come_lowest_layer_first_with_a_reason():
    first = {(1, "a"): ONE, (0, "z"): ONE, (1, "gone"): ONE, (1, "same"): ONE, (1, "late"): ONE}
    second = {(1, "a"): OTHER, (0, "z"): OTHER, (1, "new"): ONE, (1, "same"): ONE, (1, "late"): LATER}
    assert differences(first, second) == [
        FileDifference(0, "z", "differs"),
        FileDifference(1, "a", "differs"),
        FileDifference(1, "gone", "only in the first"),
        FileDifference(1, "late", "differs in time"),
        FileDifference(1, "new", "only in the second"),
    ]


def test_a_comparison_names_the_first_file():
    files = (FileDifference(1, "etc/hosts", "differs"), FileDifference(2, "tmp", "differs in time"))
    assert str(Comparison(3, is_same_image=False, differing=(1, 2), files=files)).splitlines() == [
        "2 of 3 layers differ between two builds, by 2 files.",
        "The first: /etc/hosts in layer 2: differs",
    ]
    assert str(Comparison(3, is_same_image=True)) == "two builds gave the same image (3 layers)."


def test_a_folder_that_the_layer_below_has_too_is_no_difference():
    folder, later = Compared("5", 0, is_folder=True), Compared("5", 9, is_folder=True)
    below = {(0, "etc"): folder, (0, "var"): folder}
    assert differences(below, {**below, (1, "etc"): later}) == []
    opened = Compared("5 777", 0, is_folder=True)
    assert differences({**below, (1, "etc"): opened}, below) == [
        FileDifference(1, "etc", "only in the first")
    ]
    assert differences(below, {**below, (1, "new"): folder}) == [
        FileDifference(1, "new", "only in the second")
    ]
    said = str(Comparison(4, is_same_image=False, differing=(1,)))
    assert said.endswith("by folders in which nothing has changed; the files are the same.")
