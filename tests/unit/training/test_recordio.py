"""RecordIO: what one writes the other reads, and damage is told with its place."""

import csv
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opt_ml.data import read_attributes, read_records, record_streams, write_record
from opt_ml.errors import UserError

MAGIC = bytes.fromhex("0a23d7ce")


class Trickle(io.RawIOBase):
    """Gives a few bytes at a time, as a FIFO does."""

    def __init__(self, content):
        self._stream = io.BytesIO(content)

    def read(self, size=-1):
        return self._stream.read(min(size, 3))


def written(*payloads, longest_part=(1 << 29) - 1):
    stream = io.BytesIO()
    for payload in payloads:
        write_record(stream, payload, longest_part)
    return stream.getvalue()


@pytest.mark.contract("TRAIN-59")
def test_a_record_is_magic_length_and_payload_padded_to_four_bytes():
    assert written(b"abcde") == MAGIC + struct.pack("<I", 5) + b"abcde\0\0\0"
    assert written(b"") == MAGIC + bytes(4)
    assert written(b"abcdefgh", longest_part=5) == (
        MAGIC
        + struct.pack("<I", 1 << 29 | 5)
        + b"abcde\0\0\0"
        + MAGIC
        + struct.pack("<I", 3 << 29 | 3)
        + b"fgh\0"
    )


@pytest.mark.contract("TRAIN-59")
@given(st.lists(st.binary(max_size=40)), st.integers(1, 9))
def test_what_is_written_is_read(payloads, longest_part):
    content = written(*payloads, longest_part=longest_part)
    assert list(read_records(io.BytesIO(content))) == payloads
    assert list(read_records(Trickle(content))) == payloads


def test_a_record_that_is_not_read_to_its_end_is_passed_over():
    streams = record_streams(io.BytesIO(written(b"x" * 1_000_000, b"second", longest_part=70_001)))
    assert next(streams).read(3) == b"xxx"
    assert next(streams).read() == b"second"


def test_a_record_whose_reader_was_closed_is_passed_over():
    """As by a TextIOWrapper around it, which closes it when it goes; csv needs one."""
    stream = io.BytesIO(written(b"a,1\nb,2\n", b"", b"c,3\n" * 50_000, b"d,4\n", longest_part=1001))
    tables = [next(csv.reader(io.TextIOWrapper(record)), None) for record in record_streams(stream)]
    assert tables == [["a", "1"], None, ["c", "3"], ["d", "4"]]


def test_the_magic_number_that_mxnet_leaves_out_between_parts_comes_back():
    content = written(b"abcdefgh", longest_part=4)
    assert list(read_records(io.BytesIO(content), mxnet=True)) == [b"abcd" + MAGIC + b"efgh"]
    assert list(read_records(io.BytesIO(content))) == [b"abcdefgh"]


@given(st.lists(st.binary(max_size=20), min_size=1), st.integers(1, 9), st.data())
def test_a_stream_that_ends_inside_a_record_says_in_which(payloads, longest_part, data):
    content = written(*payloads, longest_part=longest_part)
    starts = {len(written(*payloads[:n], longest_part=longest_part)) for n in range(len(payloads) + 1)}
    cut = data.draw(st.integers(1, len(content)).filter(lambda n: n not in starts))
    with pytest.raises(UserError, match=r"channel train ends in the middle of record \d+, after \d+ bytes"):
        list(read_records(io.BytesIO(content[:cut]), "The channel train"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b,c\n1,2,3\n", "is not RecordIO: record 1 begins with the bytes 61 2c 62 2c at byte 0"),
        (written(b"abc") + b"\0" * 8, "record 2 begins with the bytes 00 00 00 00 at byte 12"),
        (MAGIC + struct.pack("<I", 2 << 29), "record 1 has a part with the flag 2 at byte 0"),
        (MAGIC + struct.pack("<I", 1 << 29) + written(b""), "record 1 has a part with the flag 0 at byte 8"),
    ],
)
def test_foreign_bytes_are_told_with_their_place(content, message):
    with pytest.raises(UserError, match=message):
        list(read_records(io.BytesIO(content), "train"))


@pytest.mark.contract("TRAIN-60")
def test_the_attributes_of_an_augmented_manifest_come_in_order():
    stream = io.BytesIO(written(b"png-1", b"0", b"png-2", b'{"class": 1}'))
    assert list(read_attributes(stream, ["source-ref", "label"])) == [
        {"source-ref": b"png-1", "label": b"0"},
        {"source-ref": b"png-2", "label": b'{"class": 1}'},
    ]


@pytest.mark.contract("TRAIN-60")
def test_a_manifest_line_that_lacks_an_attribute_is_named():
    with pytest.raises(UserError, match=r"ends after 1 of the 2 attributes of line 2.*source-ref, label"):
        list(read_attributes(io.BytesIO(written(b"a", b"0", b"b")), ["source-ref", "label"]))
