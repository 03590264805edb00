"""multipart/related as a stream on its way out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.web.dicomweb.multipart import OutgoingPart, encode, encoded_length

BOUNDARY = "bound"


def part(content: bytes, content_type: str = "application/dicom") -> OutgoingPart:
    return OutgoingPart(content_type, lambda: (content,), len(content))


@given(st.lists(st.binary(max_size=50), max_size=4))
def test_length_is_known_before_anything_is_made(contents: list[bytes]) -> None:
    parts = [part(content) for content in contents]
    assert encoded_length(parts, BOUNDARY) == len(b"".join(encode(parts, BOUNDARY)))


def test_length_is_unknown_where_a_part_is_made_as_it_goes() -> None:
    assert encoded_length([OutgoingPart("image/jpeg", lambda: (b"x",))], BOUNDARY) is None


def test_part_begins_with_content_type_spelt_as_viewers_look_for_it() -> None:
    head = part(b"", "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1").head(BOUNDARY)
    assert head.startswith(
        b"\r\n--bound\r\nContent-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1\r\n"
    )


def test_no_part_is_made_before_its_turn() -> None:
    made: list[int] = []

    def body(number: int) -> tuple[bytes]:
        made.append(number)
        return (b"x",)

    stream = encode([OutgoingPart("a/b", lambda: body(1)), OutgoingPart("a/b", lambda: body(2))], BOUNDARY)
    next(stream)
    assert made == []
    next(stream)
    assert made == [1]
