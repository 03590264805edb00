"""A file in an HTTP answer, cut anywhere, comes to the sink as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.errors import InstanceUnreadable, StorageExhausted
from service.fetching.part10_taker import Arriving, take_part10
from tests.datasets import as_file, ct_slice, encode
from tests.fakes.in_memory_object_sink import InMemoryObjectSink

FILE = as_file(ct_slice(rows=4, columns=4))
DATA_SET = encode(ct_slice(rows=4, columns=4))
BOUNDED = b"--part\r\nContent-Type: application/dicom\r\n\r\n" + FILE + b"\r\n--part--\r\n"
MULTIPART = 'multipart/related; type="application/dicom"; boundary="part"'
ARRIVING = Arriving("PACS", "ANNOGATE", "127.0.0.1")


def taken(content: bytes, content_type: str, size: int = 1000) -> InMemoryObjectSink:
    sink = InMemoryObjectSink()
    take_part10(sink, ARRIVING, content_type, (content[i : i + size] for i in range(0, len(content), size)), 1.0)
    return sink


@given(size=st.integers(1, 2000))
def test_part_arrives_whole_however_it_is_cut(size: int) -> None:
    ((header, content),) = taken(BOUNDED, MULTIPART, size).stored
    assert content == DATA_SET
    assert (header.sop_instance_uid, header.called_ae_title) == (str(ct_slice().SOPInstanceUID), "ANNOGATE")


def test_answer_that_is_the_file_itself_is_taken() -> None:
    assert [content for _, content in taken(FILE, "application/dicom").stored] == [DATA_SET]


@pytest.mark.parametrize(
    "content", [b"", b"--part\r\n\r\n", BOUNDED[:-40], b"--part\r\n\r\n" + bytes(300) + b"\r\n--part--"]
)
def test_answer_that_is_cut_or_no_file_is_refused(content: bytes) -> None:
    with pytest.raises(InstanceUnreadable):
        taken(content, MULTIPART)


def test_nothing_is_kept_of_what_the_sink_refuses() -> None:
    sink = InMemoryObjectSink()
    sink.errors["commit"] = StorageExhausted("full")
    with pytest.raises(StorageExhausted):
        take_part10(sink, ARRIVING, MULTIPART, [BOUNDED], 1.0)
    assert sink.abandoned.is_set()
