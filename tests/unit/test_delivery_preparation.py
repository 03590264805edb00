"""What leaves is the hospital's: in its encoding, with nothing of the project, and checked as it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import update

from service.archive.schema import vault
from service.core.deliveries import DeliveryState
from service.delivery.character_sets import in_character_set
from service.delivery.identity_check import standing_of
from service.delivery.known_patient import KnownPatient
from service.delivery.leaving_checks import refuse_what_is_left
from service.delivery.parcel import Parcel, as_file_bytes, encoded
from service.errors import ObjectInvalid
from service.objects.rule_catalogue import shipped_catalogue
from tests.datasets import ct_slice
from tests.delivery_house import SLICES, DeliveryHouse, delivering, dimse
from tests.fakes.ready_results import ReadyResults
from tests.fakes.scripted_storage_scp import ScriptedStorageScp

KEY = bytes(32)


def rich(number: int, character_set: str | list[str], name: str) -> Dataset:
    source = ct_slice(number)
    source.SpecificCharacterSet = character_set
    source.PatientName, source.IssuerOfPatientID = name, "HOSPITAL"
    return source


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DeliveryHouse]:
    with delivering(tmp_path) as house:
        yield house


def parcels(house: DeliveryHouse, character_set: str | list[str], name: str) -> list[Parcel]:
    study_uid = house.make_results([rich(number, character_set, name) for number in range(1, SLICES + 1)])
    return [house.preparation.parcel(row) for row in house.jobs.results(study_uid)]


def opened(parcel: Parcel) -> Dataset:
    return dcmread(BytesIO(as_file_bytes(parcel)))


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 192", "Müller^Jörg=王^小东"),
    ],
)
def test_result_leaves_in_the_character_set_of_its_study(
    house: DeliveryHouse, character_set: str | list[str], name: str
) -> None:
    for parcel in parcels(house, character_set, name):
        leaving = opened(parcel)
        assert (leaving.SpecificCharacterSet, str(leaving.PatientName)) == (character_set, name)
        assert (leaving.IssuerOfPatientID, leaving.AccessionNumber, leaving.StudyID) == ("HOSPITAL", "ACC-99", "77")
        assert str(leaving.ReferringPhysicianName) == "House^Gregory"
        assert parcel.note == ""


def header(**values: str) -> Dataset:
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


@pytest.mark.parametrize(
    ("character_set", "fits"),
    [(("ISO_IR 100",), False), (("ISO_IR 192",), True), (("ISO_IR 144",), False), ((), False), (("NONSENSE",), False)],
)
def test_text_that_does_not_fit_leaves_in_utf_8(character_set: tuple[str, ...], fits: bool) -> None:
    inner = header(SeriesDescription="Größe ≥ 5 mm, 山田")
    outer = header(PatientName="Müller^Jörg")
    outer.RequestAttributesSequence = [inner]
    assert in_character_set(outer, character_set) is fits
    again = dcmread(BytesIO(encoded(outer)), force=True)
    assert again.SpecificCharacterSet == "ISO_IR 192"
    assert again.RequestAttributesSequence[0].SeriesDescription == "Größe ≥ 5 mm, 山田"


def test_ascii_alone_leaves_as_it_came_without_a_character_set() -> None:
    data_set = header(PatientName="Doe^Jane")
    assert in_character_set(data_set, ())
    assert "SpecificCharacterSet" not in data_set


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("SeriesDescription", "of ANON-XYZ today", "SeriesDescription is the project's"),
        ("FrameOfReferenceUID", "2.25.7", "FrameOfReferenceUID is a UID of the project"),
        ("SeriesDate", "20190304", "SeriesDate was not moved back"),
    ],
)
def test_anything_of_the_project_keeps_an_object_here(keyword: str, value: str, words: str) -> None:
    served = header(PatientID="ANON-XYZ", SeriesDate="20190304", StudyInstanceUID="2.25.7")
    leaving = header(PatientID="PAT-1", SeriesDate="20240304", StudyInstanceUID="1.2.3")
    refuse_what_is_left(served, leaving, original_uids={"2.25.7"}, dates_move=True)
    holder = deepcopy(leaving)
    if keyword == "SeriesDate":
        holder.SeriesDate = value
    else:
        item = Dataset()
        setattr(item, keyword, value)
        holder.RequestAttributesSequence = [item]
    with pytest.raises(ObjectInvalid, match=words) as caught:
        refuse_what_is_left(served, holder, original_uids={"2.25.7"}, dates_move=True)
    assert value not in str(caught.value)


def no_segments(segmentation: Dataset) -> None:
    del segmentation.SegmentSequence


def beside_its_images(segmentation: Dataset) -> None:
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
        frame.PlanePositionSequence[0].ImagePositionPatient = [x, y, float(z) + 900]


@pytest.mark.parametrize(
    ("damage", "rule", "words"),
    [(no_segments, "IOD-TYPE-1", "SegmentSequence"), (beside_its_images, "GEO-SOURCE", "do not lie on the image")],
)
def test_object_that_breaks_a_rule_is_held_for_a_person(
    house: DeliveryHouse, damage: Callable[[Dataset], None], rule: str, words: str
) -> None:
    study_uid = house.make_results()
    house.release_all()
    row = house.jobs.results(study_uid)[0]
    path = house.jobs.ingest.blobs.path(row.blob.key)
    broken = dcmread(path)
    damage(broken)
    broken.save_as(path)
    with ScriptedStorageScp([ReadyResults.SEG, ReadyResults.REPORT]) as scp:
        house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED")).turn()
    (delivery,) = house.deliveries()
    assert delivery.state is DeliveryState.HELD
    assert all(
        said in delivery.last_error for said in (f"ERROR {rule} (", words, shipped_catalogue().rules[rule].remedy)
    )
    assert scp.received == []
    assert house.outbox_files() == []


PATIENT = KnownPatient("PAT-1", "HOSPITAL", "Doe^Jane", accession="ACC-1")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"PatientID": "PAT-1", "IssuerOfPatientID": "HOSPITAL", "AccessionNumber": "ACC-1"}, ""),
        ({"PatientID": "PAT-1"}, ""),
        ({"PatientID": "PAT-1", "PatientName": "Smith^Jane"}, ""),
        ({"PatientID": "PAT-2"}, "another PatientID than"),
        ({"PatientID": "PAT-1", "IssuerOfPatientID": "OTHER"}, "another IssuerOfPatientID than"),
        ({"PatientID": "PAT-2", "AccessionNumber": "ACC-2"}, "another PatientID and AccessionNumber than"),
    ],
)
def test_patient_at_the_peer_is_held_against_the_one_that_came(answer: dict[str, str], words: str) -> None:
    standing = standing_of(PATIENT, [header(**answer)], KEY)
    assert words in standing.words
    assert bool(standing.words) is bool(words)
    assert "PAT" not in standing.words


def test_study_under_two_patients_or_none_is_for_a_person() -> None:
    answers = [header(PatientID="PAT-1"), header(PatientID="PAT-2")]
    assert "several patients" in standing_of(PATIENT, answers, KEY).words
    assert "does not know the study" in standing_of(PATIENT, [], KEY).words
    assert "check_identity = false" in standing_of(PATIENT, None, KEY).words


def test_parcel_is_the_same_after_it_was_sealed() -> None:
    parcel = ReadyResults().parcel(ReadyResults().instance("p", "2.25.11"))
    assert Parcel.of_parts(b"".join(parcel.parts())) == parcel
    assert "PAT-4711" not in repr(parcel)


def test_vault_entry_that_does_not_open_keeps_its_own_delivery_alone(house: DeliveryHouse) -> None:
    first = house.make_results()
    house.make_results(
        [
            ct_slice(number, study_uid="1.2.77", series_uid="1.2.77.1", patient_id="PAT-2")
            for number in range(1, SLICES + 1)
        ]
    )
    house.release_all()
    with house.database.write() as connection:
        sealed = update(vault).where(vault.c.kind == "study", vault.c.key == first).values(sealed=b"damaged" * 9)
        connection.execute(sealed)
    with ScriptedStorageScp([ReadyResults.SEG, ReadyResults.REPORT]) as scp:
        house.courier(dimse("127.0.0.1", scp.port, "SCRIPTED")).turn()
    kept, sent = house.deliveries()
    assert (kept.state, sent.state) == (DeliveryState.WAITING, DeliveryState.SENT)
    assert "does not open" in kept.last_error
    assert kept.next_at > house.clock.now
