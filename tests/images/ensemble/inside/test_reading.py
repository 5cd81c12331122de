"""Files of a channel: header, delimiters, types, gaps, several files, Parquet."""

from __future__ import annotations

import csv
import gzip
import io

import fastparquet
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.environment import Channel
from opt_ml.errors import UserError
from opt_ml.tables.columns import find_label
from opt_ml.tables.files import read_channel
from opt_ml.tables.text import category, number
from opt_ml_ensemble.dataset import build_schema, encode
from opt_ml_ensemble.settings import Settings


def rows_of(tmp_path, label=None, header="auto", content_type=None, **files):
    for name, content in files.items():
        path = tmp_path / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_channel(Channel("train", tmp_path, content_type), header, label)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("a,b,y\n1,2,3\n4,5,6\n", ["a", "b", "y"]),
        ("1,2,3\n4,5,6\n", ["column_0", "column_1", "column_2"]),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", ["column_0", "column_1", "column_2"]),
        ("colour,shape\nred,round\nblue,round\nred,square\n", ["colour", "shape"]),
        ("red,round\nblue,round\nred,square\n", ["column_0", "column_1"]),
        ("a;b\n1;2\n", ["a", "b"]),
        ("a\tb\n1\t2\n", ["a", "b"]),
        ("a|b\n1|2\n", ["a", "b"]),
        ('"a, first",b\n1,2\n', ["a, first", "b"]),
        ("\ufeffa,b\n1,2\n", ["a", "b"]),
        ("a,b\r\n1,2\r\n", ["a", "b"]),
        ("\n\na,b\n\n1,2\n\n", ["a", "b"]),
        ("a,b\n1,2", ["a", "b"]),
        ("a,a,a\n1,2,3\n", ["a", "a.1", "a.2"]),
        ("a,a,a.1\n1,2,3\n", ["a", "a.1", "a.1.1"]),
        ("a,,b\n1,2,3\n", ["column_0", "column_1", "column_2"]),
    ],
)
def test_a_header_is_found_where_there_is_one(tmp_path, content, columns):
    assert list(rows_of(tmp_path, f__csv=content).frame.columns) == columns


def test_the_header_hyperparameter_has_the_last_word(tmp_path):
    rows = rows_of(tmp_path, header="true", f__csv="2019,2020\n1,2\n")
    assert list(rows.frame.columns) == ["2019", "2020"]
    rows = rows_of(tmp_path, header="false", f__csv="a,b\n1,2\n")
    assert len(rows.frame) == 2


def test_a_first_line_that_holds_the_label_is_a_header(tmp_path):
    assert list(rows_of(tmp_path, label="y", f__csv="2019,y\n1,2\n").frame.columns) == ["2019", "y"]


@pytest.mark.contract("TRAIN-51")
def test_files_in_folders_are_read_in_order_and_part_files_need_no_header(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "0").write_text("a,b\n1,2\n")
    (tmp_path / "part" / "1").write_text("3,4\n")
    (tmp_path / "part" / "2").write_bytes(gzip.compress(b"b,a\n6,5\n"))
    (tmp_path / "part" / "3").write_text("")
    rows = rows_of(tmp_path)
    assert rows.frame.to_dict("list") == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert [rows.where(row) for row in range(3)] == ["0 line 2", "1 line 1", "2 line 2"]


def test_a_row_is_found_behind_blank_lines_and_line_breaks_in_quotes(tmp_path):
    rows = rows_of(tmp_path, f__csv='a,b\n\n"x\ny",1\n\nz,2\n')
    assert list(rows.frame["a"]) == ["x\ny", "z"]
    assert rows.where(1) == "f.csv line 6"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("blank", ["", "\n\n"])
@pytest.mark.parametrize("name", ['"a\nb\nc"', ' "a\nb"', '"a\n\n""b"""', '5"', '"a\nb" "'])
def test_no_row_is_lost_below_line_breaks_and_quotes_in_a_name(tmp_path, name, blank, end):
    content = f"{blank}{name},y\n1,2\n3,4\n5,6\n7,8\n".replace("\n", end)
    for kind in (str.encode, lambda text: gzip.compress(text.encode())):
        rows = rows_of(tmp_path, f__csv=kind(content))
        assert rows.frame.to_numpy().tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
        assert rows.where(3) == f"f.csv line {len(content.splitlines())}"


def test_a_byte_far_down_that_is_not_utf_8_is_one_line_for_the_user(tmp_path):
    with pytest.raises(UserError, match=r"f\.csv is not UTF-8 text"):
        rows_of(tmp_path, f__csv=b"a,y\n" + b"1,2\n" * 100_000 + b"\xff,3\n")


def test_numbers_in_one_file_and_text_in_another_make_one_text_column(tmp_path):
    rows = rows_of(tmp_path, a__csv="k,y\n01,1\n2,1\n", b__csv="k,y\nx,1\n,1\n")
    assert [category(value) for value in rows.frame["k"]] == ["1", "2", "x", None]


def test_parquet_and_csv_of_one_table_give_one_matrix(tmp_path, mixed):
    matrices = []
    for kind in ("csv", "parquet"):
        directory = tmp_path / kind
        directory.mkdir()
        frame = mixed.assign(flag=mixed["price"] > 100)
        if kind == "csv":
            frame.to_csv(directory / "f.csv", index=False)
        else:
            fastparquet.write(str(directory / "f.parquet"), frame)
        rows = read_channel(Channel("train", directory), "auto", None)
        schema = build_schema(rows, Settings.read({"label": "band"}))
        data = encode(rows, schema)
        matrices.append((schema, data.matrix, data.label))
    assert matrices[0][0] == matrices[1][0]
    np.testing.assert_array_equal(matrices[0][1], matrices[1][1])
    np.testing.assert_array_equal(matrices[0][2], matrices[1][2])


def test_every_sign_of_a_missing_value_is_one(tmp_path):
    rows = rows_of(
        tmp_path, f__csv="a,b,y\n1,x,1\nNA,NA,2\n,,3\nnull,None,4\nnan,N/A,5\n2,z,6\n1,x,7\n4,z,8\n"
    )
    data = encode(rows, build_schema(rows, Settings.read({})))
    assert np.isnan(data.matrix[1:5]).all()
    assert not np.isnan(data.matrix[5:]).any()


def test_an_infinite_number_counts_as_missing(tmp_path):
    rows = rows_of(tmp_path, f__csv="a,y\n1,1\ninf,2\n-inf,3\n1e300,4\n2,5\n")
    data = encode(rows, build_schema(rows, Settings.read({})))
    assert list(np.isnan(data.matrix[:, 0])) == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("columns", "wanted", "content_type", "label"),
    [
        ("a,b,c", None, None, "c"),
        ("a,target,c", None, None, "target"),
        ("Label,b,c", None, None, "Label"),
        ("y,target,c", None, None, "c"),
        ("a,b,c", None, "text/csv; label_size=1", "a"),
        ("a,target,c", "a", None, "a"),
        ("a,b,c", "0", None, "a"),
        ("a,b,c", "-2", None, "b"),
        ("1,2,3", None, None, "column_2"),
        ("1,2,3", "0", None, "column_0"),
    ],
)
def test_the_label_is_named_or_the_usual_one_or_the_last_column(
    tmp_path, columns, wanted, content_type, label
):
    rows = rows_of(tmp_path, label=wanted, content_type=content_type, f__csv=f"{columns}\n4,5,6\n7,8,9\n")
    assert find_label(rows, wanted) == label


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["no", "yes"] * 10, "binary", ("no", "yes")),
        ([0, 1] * 10, "binary", (0, 1)),
        ([-1.5, 1.5] * 10, "binary", (-1.5, 1.5)),
        (["True", "False"] * 10, "binary", ("False", "True")),
        (["a", "b", "c", "b"] * 5, "multiclass", ("a", "b", "c")),
        ([1, 2, 3, 2] * 5, "multiclass", (1, 2, 3)),
        ([1.5, 2, 3, 2] * 5, "regression", ()),
        (list(range(20)), "regression", ()),
        (["1", "x"] * 10, "binary", ("1", "x")),
    ],
)
def test_the_label_tells_the_task(tmp_path, values, task, classes):
    frame = pd.DataFrame({"a": range(20), "y": values})
    rows = rows_of(tmp_path, f__csv=frame.to_csv(index=False))
    schema = build_schema(rows, Settings.read({}))
    assert (schema.task, schema.classes) == (task, classes)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_number_is_one_category_however_it_is_written(value):
    text = category(value)
    assert category(repr(value)) == text == category(f" {value!r} ") == category(np.float32(value).item())
    assert number(text) == value


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8),
            min_size=3,
            max_size=3,
        ),
        min_size=2,
        max_size=8,
    )
)
def test_any_table_that_csv_can_hold_is_read_or_refused_in_one_line(tmp_path_factory, table):
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(table)
    directory = tmp_path_factory.mktemp("any")
    try:
        rows = rows_of(directory, header="false", f__csv=stream.getvalue())
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert rows.frame.shape[1] >= 1


def test_csv_and_parquet_with_text_columns_go_together_in_one_channel(job, mixed):
    frame = mixed[["size", "colour", "price"]]
    job.file("train", "a.csv", frame[:100]).file("train", "b.parquet", frame[100:])
    job.run({"models": "linear"})
    [colour] = [feature for feature in job.model["schema"]["features"] if feature["name"] == "colour"]
    assert colour["kind"] == "category"
    assert job.metrics["train"]["rows"] == len(frame)
