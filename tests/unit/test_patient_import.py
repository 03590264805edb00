"""A patient who is known under several identifiers has one pseudonym and one shift, whichever arrives first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_nodes.errors import GatewayError
from service.archive.patients import PatientTable
from service.core.archived import StudyRow
from service.core.records import ObjectKind, OutcomeKind
from service.custody.patient_import import Imported, PatientImport
from service.custody.way_back import WayBack
from service.deident.patient_mapping import mapping_rows
from service.deident.pseudonyms import Pseudonyms
from service.errors import BadRequest, ContentConflict
from tests.datasets import ct_slice
from tests.ingest_house import IngestHouse

FIRST, SECOND = "1.2.826.77.1", "1.2.826.77.2"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def take_in(house: IngestHouse, text: str) -> Imported:
    return PatientImport(
        project="research",
        database=house.database,
        store=house.vault,
        patients=PatientTable(house.database),
        vault=house.research_vault,
        persons=house.persons,
        pseudonyms=Pseudonyms.of(house.keys.project_keys("research")),
    ).run(mapping_rows(text.encode()))


def receive(house: IngestHouse, patient_id: str, study_uid: str, issuer: str = "", number: int = 1) -> StudyRow:
    source = ct_slice(number, study_uid=study_uid, series_uid=f"{study_uid}.1", patient_id=patient_id)
    if issuer:
        source.IssuerOfPatientID = issuer
    outcome = house.pipeline.process(house.incoming(source, "research"))
    assert outcome.kind is OutcomeKind.ARCHIVED, outcome.reason
    study = house.index.study("research", outcome.study_uid)
    assert study is not None
    return study


TWO_IDS = "id,issuer,id_of,issuer_of\nCLINIC-8,CLINIC,HOSP-1,HOSP\n"


@pytest.mark.parametrize(
    "order", [(("CLINIC-8", "CLINIC"), ("HOSP-1", "HOSP")), (("HOSP-1", "HOSP"), ("CLINIC-8", "CLINIC"))]
)
def test_two_identifiers_become_one_patient(house: IngestHouse, order: tuple[tuple[str, str], ...]) -> None:
    assert take_in(house, TWO_IDS) == Imported(1, 2, 1)
    (first, second) = (
        receive(house, *who) for who in [(order[0][0], FIRST, order[0][1]), (order[1][0], SECOND, order[1][1])]
    )
    assert first.patient_id == second.patient_id
    assert first.study_date == second.study_date
    assert first.patient_digest == second.patient_digest


def test_without_a_mapping_they_are_two(house: IngestHouse) -> None:
    assert receive(house, "HOSP-1", FIRST).patient_id != receive(house, "CLINIC-8", SECOND).patient_id


def test_both_identifiers_may_stand_in_one_study(house: IngestHouse) -> None:
    take_in(house, TWO_IDS)
    one = receive(house, "HOSP-1", FIRST, "HOSP")
    assert receive(house, "CLINIC-8", FIRST, "CLINIC", number=2).study_uid == one.study_uid


@pytest.mark.parametrize("held", [("HOSP-1", "HOSP"), ("CLINIC-8", "CLINIC")])
def test_person_keeps_the_pseudonym_under_which_studies_are_in(house: IngestHouse, held: tuple[str, str]) -> None:
    other = ("CLINIC-8", "CLINIC") if held[0] == "HOSP-1" else ("HOSP-1", "HOSP")
    before = receive(house, held[0], FIRST, held[1])
    take_in(house, TWO_IDS)
    assert receive(house, other[0], SECOND, other[1]).patient_id == before.patient_id


def test_studies_under_two_pseudonyms_are_named_and_nothing_is_changed(house: IngestHouse) -> None:
    one, other = receive(house, "HOSP-1", FIRST, "HOSP"), receive(house, "CLINIC-8", SECOND, "CLINIC")
    with pytest.raises(ContentConflict) as refused:
        take_in(house, f"{TWO_IDS}ANOTHER,,HOSP-2,HOSP\n")
    assert one.study_uid in str(refused.value)
    assert other.study_uid in str(refused.value)
    assert "HOSP-1" not in str(refused.value)
    assert house.persons.aliases() == []
    assert house.persons.revision() == ""


def test_chain_of_identifiers_is_one_person(house: IngestHouse) -> None:
    take_in(house, "id,id_of\nA-1111,B-2222\nB-2222,C-3333\n")
    found = {
        receive(house, name, f"1.2.826.78.{n}").patient_id for n, name in enumerate(("A-1111", "B-2222", "C-3333"))
    }
    assert len(found) == 1


def test_later_file_joins_what_earlier_ones_said(house: IngestHouse) -> None:
    take_in(house, "id,id_of\nA-1111,B-2222\n")
    held = receive(house, "A-1111", FIRST)
    take_in(house, "id,id_of\nB-2222,C-3333\n")
    assert receive(house, "C-3333", SECOND).patient_id == held.patient_id


def test_same_file_again_changes_nothing(house: IngestHouse) -> None:
    take_in(house, TWO_IDS)
    revision = house.persons.revision()
    assert take_in(house, TWO_IDS) == Imported(1, 2, 0)
    assert house.persons.revision() == revision


def test_process_that_runs_follows_an_import_of_another(house: IngestHouse) -> None:
    other = IngestHouse(house.folder)
    held = receive(other, "HOSP-1", FIRST, "HOSP")
    take_in(house, TWO_IDS)
    assert receive(other, "CLINIC-8", SECOND, "CLINIC").patient_id == held.patient_id
    other.close()


def test_object_that_was_cleaned_before_an_import_is_offered_again(house: IngestHouse) -> None:
    """The import ends between cleaning and the transaction that lets the object in."""
    clean = house.pipeline._blobs.begin_many

    def import_meanwhile(blobs):
        take_in(house, TWO_IDS)
        return clean(blobs)

    house.pipeline._blobs.begin_many = import_meanwhile
    source = ct_slice(1, patient_id="CLINIC-8")
    source.IssuerOfPatientID = "CLINIC"
    with pytest.raises(GatewayError, match="offer the object again"):
        house.pipeline.process(house.incoming(source, "research"))
    assert house.index.count() == 0
    assert house.blob_keys() == set()
    house.pipeline._blobs.begin_many = clean
    held = receive(house, "CLINIC-8", FIRST, "CLINIC")
    assert held.patient_id == house.deidentifier.pseudonym("HOSP-1", "HOSP")


def test_other_identifier_of_the_patient_is_taken_out_of_texts(house: IngestHouse) -> None:
    take_in(house, TWO_IDS)
    source = ct_slice(1, patient_id="HOSP-1")
    source.IssuerOfPatientID = "HOSP"
    source.KVP = None
    source.ConvolutionKernel = "CLINIC8"
    house.pipeline.process(house.incoming(source, "research"))
    stored = b"".join(path.read_bytes() for path in (house.folder / "blobs").rglob("*.dcm"))
    assert b"CLINIC8" not in stored


def test_way_back_of_each_study_names_the_identifier_that_it_came_with(house: IngestHouse) -> None:
    take_in(house, TWO_IDS)
    studies = [receive(house, "HOSP-1", FIRST, "HOSP"), receive(house, "CLINIC-8", SECOND, "CLINIC")]
    back = WayBack(house.research_vault, house.vault, "research")
    assert [back.original_study(study.study_uid).PatientID for study in studies] == ["HOSP-1", "CLINIC-8"]


def test_identifier_corrected_after_receipt_reaches_the_vault_alone(house: IngestHouse) -> None:
    held = receive(house, "WRONG-1", FIRST)
    corrected = ct_slice(1, study_uid=FIRST, series_uid=f"{FIRST}.1", patient_id="RIGHT-1")
    assert house.pipeline.process(house.incoming(corrected, "research")).kind is OutcomeKind.DUPLICATE
    served = house.stored(house.index.instances_of("research", held.study_uid)[0])
    restored = WayBack(house.research_vault, house.vault, "research").restore(served, ObjectKind.IMAGE).data_set
    assert (restored.PatientID, restored.StudyDate, restored.SeriesDate) == ("RIGHT-1", "20240317", "20240317")
    assert restored.SOPInstanceUID == corrected.SOPInstanceUID
    assert house.index.study("research", held.study_uid).patient_id == held.patient_id


def test_further_images_under_a_corrected_identifier_wait_until_it_is_mapped(house: IngestHouse) -> None:
    held = receive(house, "WRONG-1", FIRST)
    further = ct_slice(2, study_uid=FIRST, series_uid=f"{FIRST}.1", patient_id="RIGHT-1")
    assert house.pipeline.process(house.incoming(further, "research")).failure_reason == 0xC004
    take_in(house, "id,id_of\nRIGHT-1,WRONG-1\n")
    assert house.pipeline.process(house.incoming(further, "research")).study_uid == held.study_uid


@pytest.mark.sqlite
def test_mapping_lies_nowhere_in_the_open(house: IngestHouse) -> None:
    take_in(house, TWO_IDS)
    house.close()
    content = b"".join(path.read_bytes() for path in house.folder.glob("index.sqlite*"))
    assert [token for token in (b"CLINIC-8", b"HOSP-1", b"CLINIC") if token in content] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "there is no column id "),
        (b"id,issuer\nA,B\n", "line 1: there is no column id_of"),
        (b"id,id_of,name\nA,B,C\n", "line 1: a column is none of"),
        (b"id,id_of,id\nA,B,C\n", "line 1: a column stands twice"),
        (b"id,id_of\n", "names no identifier"),
        (b"id,id_of\nSECRET\n", "line 2: 1 values for 2 columns"),
        (b"id,id_of\nA,B\n,SECRET\n", "line 3: id is empty"),
        (b"id,id_of\nSECRET,SECRET\n", "line 2: an identifier is said to be itself"),
        (b"id,id_of\nSECRET\\1,B\n", "line 2: id is not a value of Patient ID"),
        (b"id,id_of\n" + b"S" * 65 + b",B\n", "line 2: id is not a value of Patient ID"),
        (b"id,id_of\nSECR\xc9T,B\n", "not in UTF-8"),
        (b'id,id_of\n"SECRET,B\n', "line 2: this is no CSV"),
    ],
)
def test_file_that_cannot_be_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        mapping_rows(content)
    assert words in str(refused.value)
    assert "SECR" not in str(refused.value)


def test_semicolons_and_a_byte_order_mark_are_read() -> None:
    (row,) = mapping_rows(b"\xef\xbb\xbfid;issuer;id_of;issuer_of\r\nA;;B;HOSP\r\n")
    assert (row.member.patient_id, row.of.patient_id, row.of.issuer) == ("A", "B", "HOSP")
