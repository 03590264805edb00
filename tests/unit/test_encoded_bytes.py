"""Bytes that are read a stretch at a time read like bytes, wherever they lie."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.encoded_bytes import CHUNK, EncodedBytes, FramedBytes, Section, chunks
from service.errors import KeysMissing
from service.ingest.scratch import Scratch
from service.ingest.sealed_file import read_sealed, write_sealed
from service.ingest.spool_reader import SpoolReader
from tests.spooling import KEY, put, spool_at

SIZE = 1_300_000
CONTENT = b"".join(number.to_bytes(4, "big") for number in range(SIZE // 4))


def in_frames(content: bytes, sizes: list[int]) -> FramedBytes:
    """The content cut into frames of these sizes, the last one taking the rest."""
    starts = [start for start in itertools.accumulate(sizes, initial=0) if start <= len(content)]
    stops = [*starts[1:], len(content)]
    return FramedBytes(starts, len(content), lambda number: content[starts[number] : stops[number]])


@contextmanager
def spooled(folder: Path) -> Iterator[EncodedBytes]:
    with closing(spool_at(folder)) as spool:
        put(spool, CONTENT)
    reader = SpoolReader(folder, KEY, in_memory_bytes=1000)
    (only,) = reader.committed()
    yield reader.read(only.source_key)


@contextmanager
def sealed(folder: Path) -> Iterator[EncodedBytes]:
    write_sealed(folder / "a", [CONTENT], KEY)
    content = read_sealed(folder / "a", KEY, in_memory_bytes=1000)
    (folder / "a").unlink()  # what is being read stays readable
    yield content


@contextmanager
def in_scratch(folder: Path) -> Iterator[EncodedBytes]:
    yield Scratch(folder, in_memory_bytes=1000).keep([CONTENT[:7], CONTENT[7:]])


@pytest.fixture(scope="module", params=[spooled, sealed, in_scratch])
def kept(request) -> Iterator[EncodedBytes]:
    with tempfile.TemporaryDirectory() as folder, request.param(Path(folder)) as content:
        assert not isinstance(content, bytes)
        yield content


OFFSETS = st.integers(0, SIZE + 10) | st.sampled_from([0, CHUNK - 1, CHUNK, CHUNK + 1, 262_144, 262_145])


@settings(max_examples=60, deadline=None)
@given(start=OFFSETS, stop=OFFSETS)
def test_any_stretch_of_what_is_kept_is_the_slice(kept: EncodedBytes, start: int, stop: int):
    assert kept[start:stop] == CONTENT[start:stop]


@settings(max_examples=30, deadline=None)
@given(start=OFFSETS, stop=OFFSETS)
def test_chunks_of_what_is_kept_are_the_slice(kept: EncodedBytes, start: int, stop: int):
    assert b"".join(chunks(kept, start, stop)) == CONTENT[start:stop]


def test_length_of_what_is_kept_is_that_of_the_content(kept):
    assert len(kept) == len(CONTENT)


@given(
    content=st.binary(max_size=60),
    sizes=st.lists(st.integers(0, 9), max_size=9),
    outer=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    inner=st.tuples(st.none() | st.integers(-70, 70), st.none() | st.integers(-70, 70)),
)
def test_slices_of_a_section_of_frames_are_those_of_bytes(content, sizes, outer, inner):
    start, stop = sorted(min(end, len(content)) for end in outer)
    section, same = Section(in_frames(content, sizes), start, stop), content[start:stop]
    stretch = slice(*inner)
    assert (section[stretch], bytes(section), len(section)) == (same[stretch], same, len(same))


@pytest.mark.parametrize("wrap", [lambda content: content, lambda content: Section(content, 0, len(content))])
def test_chunks_of_what_is_in_memory_copy_nothing(wrap: Callable[[bytes], EncodedBytes]):
    (only,) = chunks(wrap(CONTENT), 5, 100)
    assert only.obj is CONTENT
    assert only == CONTENT[5:100]


def test_a_frame_is_opened_once_for_reads_that_follow_each_other():
    opened: list[int] = []

    def open_frame(number: int) -> bytes:
        opened.append(number)
        return bytes(100)

    content = FramedBytes(range(0, 300, 100), 300, open_frame)
    for start in range(0, 300, 30):
        content[start : start + 30]
    assert opened == [0, 1, 2]


def test_little_is_kept_in_memory_as_it_is(tmp_path):
    assert Scratch(tmp_path).keep([b"a", memoryview(b"bc")]) == b"abc"


def test_scratch_shows_neither_a_name_nor_content(tmp_path):
    scratch = Scratch(tmp_path, in_memory_bytes=10)
    kept = scratch.keep([b"Doe^Jane " * 1000])
    held = [Path(f"/proc/self/fd/{number.name}") for number in Path("/proc/self/fd").iterdir()]
    files = [path for path in held if str(path.resolve()).startswith(str(tmp_path))]
    assert list(tmp_path.iterdir()) == []
    assert (len(files), b"Doe" in files[0].read_bytes()) == (1, False)
    assert kept[:3] == b"Doe"


def test_scratch_lets_its_file_go_with_the_last_reader(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    kept = Scratch(tmp_path, in_memory_bytes=10).keep([bytes(100)])
    section = Section(kept, 10, 20)
    del kept
    assert bytes(section) == bytes(10)
    del section
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_scratch_whose_source_fails_keeps_no_file_open(tmp_path):
    def failing() -> Iterator[bytes]:
        yield bytes(100)
        raise EOFError

    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(EOFError):
        Scratch(tmp_path, in_memory_bytes=10).keep(failing())
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_empty_sealed_file_that_was_changed_is_refused(tmp_path):
    write_sealed(tmp_path / "a", [], KEY)
    content = bytearray((tmp_path / "a").read_bytes())
    content[-1] ^= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(KeysMissing):
        read_sealed(tmp_path / "a", KEY)
