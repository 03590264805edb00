"""Nothing planted is found in what the gateway keeps: files, index, cached metadata, quarantine, spool and log."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pydicom import dcmread
from structlog.testing import capture_logs

from service.archive.metadata_cache import text_of
from service.core.archived import InstanceRow
from service.core.records import Outcome, OutcomeKind
from tests.ingest_house import IngestHouse
from tests.planted_files import FORMS, identity_in_file, own_values_in, planted_data_set
from tests.planted_identity import FAMILY, IDENTIFIER
from tests.planted_objects import ObjectPlanter
from tests.planted_values import ISSUER, Tokens
from tests.unit.test_deident_planted_attributes import SOP_CLASSES, WITHOUT_PIXELS

REFUSED = {
    "identity burned in": (0x00280301, "CS", b"YES"),
    "no SOP Instance UID": (0x00080018, "UI", b""),
    "a UID that is none": (0x0020000E, "UI", f"1.2.{FAMILY}".encode()),
}


@dataclass
class Kept:
    """A house that took planted objects in, and what came of each."""

    house: IngestHouse
    tokens: Tokens
    outcomes: dict[str, Outcome]
    lines: str

    def rows(self) -> Iterator[InstanceRow]:
        for outcome in self.outcomes.values():
            row = self.house.index.find("research", outcome.sop_instance_uid)
            if row is not None:
                yield row

    def left_in(self, content: bytes) -> list[str]:
        return self.tokens.left_in(content) + own_values_in(content)


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Iterator[Kept]:
    house = IngestHouse(tmp_path_factory.mktemp("house"))
    shift = house.deidentifier.shift_days(IDENTIFIER, ISSUER)
    tokens = Tokens(step_days=next(step for step in range(2, 20) if shift % step))
    options = frozenset(
        {"retain_longitudinal_modified_dates", "retain_patient_characteristics", "clean_structured_content"}
    )
    outcomes, spooled = {}, []
    with capture_logs() as lines:
        for number, (kind, sop_class_uid) in enumerate(SOP_CLASSES.items()):
            form = list(FORMS.values())[number % len(FORMS)]
            made = ObjectPlanter(sop_class_uid, form.encoder, options, tokens, depth=2, number=number).make()
            content = planted_data_set(made, form, pixels=kind not in WITHOUT_PIXELS)
            incoming = house.incoming(content, "research", str(form.transfer_syntax_uid))
            outcomes[kind] = house.pipeline.process(incoming)
        plain = FORMS["explicit"]
        for number, (tag, vr, value) in enumerate(REFUSED.values()):
            made = ObjectPlanter(SOP_CLASSES["CT"], plain.encoder, options, tokens, depth=1, number=900 + number).make()
            broken = replaced(planted_data_set(made, plain, pixels=True), plain.encoder.element(tag, vr, value))
            spooled.append(broken)
        house.spool(spooled, "RESEARCH")
        house.worker.work()
    yield Kept(house, tokens, outcomes, repr(lines))
    house.close()


def replaced(content: bytes, element: bytes) -> bytes:
    """A data set in explicit VR with another element in the place of its own, at the top."""
    data_set = FORMS["explicit"].encoder.read(content)
    tag = int.from_bytes(element[0:2], "little") << 16 | int.from_bytes(element[2:4], "little")
    start = data_set.get_item(tag).value_tell - 8
    return content[:start] + element + content[start + 8 + data_set.get_item(tag).length :]


@pytest.mark.parametrize("kind", SOP_CLASSES)
def test_every_kind_of_object_is_archived(kept, kind):
    outcome = kept.outcomes[kind]
    assert (outcome.kind, outcome.reason) == (OutcomeKind.ARCHIVED, "")


def test_what_is_refused_is_in_quarantine_with_its_reason(kept):
    rows = kept.house.quarantine_rows.list("research")
    assert len(rows) == len(REFUSED)
    assert all(row.reason for row in rows)
    assert kept.left_in(repr(rows).encode()) == []


def test_no_file_of_the_archive_holds_identity(kept):
    found = 0
    for path in (kept.house.folder / "blobs").rglob("*.dcm"):
        content = path.read_bytes()
        assert identity_in_file(content, dcmread(io.BytesIO(content)), kept.tokens) == []
        assert kept.left_in(path.name.encode()) == []
        found += 1
    assert found == len(SOP_CLASSES)


def test_no_cached_metadata_holds_identity(kept):
    (study_uid,) = {row.study_uid for row in kept.rows()}
    texts = [text_of(blob, "http://gateway") for blob in kept.house.index.metadata_of("research", study_uid)]
    assert len(texts) == len(SOP_CLASSES)
    for text in texts:
        assert kept.tokens.left_in_text(text) + own_values_in(text.encode()) == []


@pytest.mark.sqlite
def test_nothing_else_on_the_disk_holds_identity(kept):
    looked_at = set()
    for path in kept.house.folder.rglob("*"):
        if path.is_file() and path.suffix != ".dcm":
            assert kept.left_in(path.read_bytes()) == [], path.name
            assert kept.left_in(str(path.relative_to(kept.house.folder)).encode()) == []
            looked_at.add(path.parts[len(kept.house.folder.parts)].split("-")[0])
    assert {"index.sqlite", "quarantine"} <= looked_at


def test_the_log_holds_no_identity(kept):
    assert "object.quarantined" in kept.lines
    assert kept.left_in(kept.lines.encode()) == []


def test_the_search_finds_what_lies_open(kept, tmp_path):
    (tmp_path / "open").write_bytes(b"..." + next(iter(kept.tokens.places)) + FAMILY.upper().encode("utf-16-le"))
    assert len(kept.left_in((tmp_path / "open").read_bytes())) == 2
