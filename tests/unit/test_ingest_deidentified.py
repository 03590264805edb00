"""What becomes of objects that come into a de-identifying project."""

from __future__ import annotations

import io

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from service.core.records import ObjectKind, OutcomeKind
from service.ingest.part10 import read_file
from tests.commented_frames import jpeg_ls
from tests.datasets import STUDY_UID, as_file, ct_slice
from tests.ingest_house import IngestHouse

IDENTITY = (b"Doe", b"Jane", b"PAT-4711", b"19610502", b"20240317", b"House", b"ACC-99", STUDY_UID.encode())


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


@pytest.fixture
def send(house):
    def send(data_set, transfer_syntax_uid=ExplicitVRLittleEndian):
        return house.pipeline.process(house.incoming(data_set, "research", transfer_syntax_uid))

    return send


def report(study_uid, **changes):
    data_set = ct_slice(study_uid=study_uid, series_uid="1.2.826.99.1", sop_instance_uid="1.2.826.99.2", **changes)
    del data_set.PixelData
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.34"
    data_set.Modality = "SR"
    return data_set


def everything_stored(house):
    return b"".join(path.read_bytes() for path in (house.folder / "blobs").rglob("*.dcm"))


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_image_is_served_clean_in_its_transfer_syntax(house, send, transfer_syntax_uid):
    file = read_file(as_file(ct_slice(1), transfer_syntax_uid))
    outcome = send(file.data_set, file.transfer_syntax_uid)
    assert outcome.kind is OutcomeKind.ARCHIVED
    row = house.index.find("research", outcome.sop_instance_uid)
    stored = house.stored(row)
    assert stored.file_meta.TransferSyntaxUID == transfer_syntax_uid
    assert str(stored.PatientName) != "Doe^Jane"
    assert stored.PixelData == ct_slice(1).PixelData


def test_no_identity_lies_in_the_store(house, send):
    source = ct_slice(1)
    source.add_new(0xFFFCFFFC, "OB", b"Doe^Jane PAT-4711")
    send(source)
    stored = everything_stored(house)
    assert [token for token in IDENTITY if token in stored] == []


@pytest.mark.sqlite
def test_no_identity_lies_in_the_index_outside_the_vault(house, send):
    send(ct_slice(1))
    house.close()
    content = b"".join(path.read_bytes() for path in house.folder.glob("index.sqlite*"))
    assert [token for token in IDENTITY if token in content] == []


def test_no_identity_lies_in_quarantine(house, send):
    source = ct_slice(1)
    del source.PixelData
    assert send(source).kind is OutcomeKind.QUARANTINED
    content = b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file())
    assert [token for token in IDENTITY if token in content] == []


def test_every_uid_is_another_one(send):
    outcome = send(ct_slice(1))
    source = ct_slice(1)
    assert outcome.study_uid.startswith("2.25.")
    assert {outcome.study_uid, outcome.series_uid, outcome.sop_instance_uid}.isdisjoint(
        {source.StudyInstanceUID, source.SeriesInstanceUID, source.SOPInstanceUID}
    )


def test_class_that_a_number_of_the_patients_stands_in_has_another_uid_and_a_way_back(house, send):
    root = "1.2.826.0.1.3680043.9999.19610502"
    image = ct_slice()
    image.SOPClassUID = root
    send(image)
    served = house.deidentifier.map_uid(root)
    assert root.encode() not in everything_stored(house)
    assert served.encode() in everything_stored(house)
    assert house.research_vault.open(house.vault.get("research", "uid", served))["uid"] == root


def test_encapsulated_pixels_are_carried_over_untouched(house, send):
    source = ct_slice()
    source.PixelData = encapsulate([jpeg_ls()])
    source["PixelData"].is_undefined_length = True
    source["PixelData"].VR = "OB"
    file = read_file(as_file(source, JPEGLSLossless))
    outcome = send(file.data_set, JPEGLSLossless)
    stored = house.stored(house.index.find("research", outcome.sop_instance_uid))
    assert stored.PixelData == source.PixelData


def test_pixels_are_found_where_the_index_says(house, send):
    outcome = send(ct_slice(1))
    row = house.index.find("research", outcome.sop_instance_uid)
    pixels = row.blob.pixels
    content = house.blobs.path(row.blob.key).read_bytes()
    assert content[pixels.offset : pixels.offset + pixels.length] == ct_slice(1).PixelData


def test_way_back_is_in_the_vault(house, send):
    outcome = send(ct_slice(1))
    entry = house.vault.get("research", "uid", outcome.sop_instance_uid)
    assert house.research_vault.open(entry)["uid"] == ct_slice(1).SOPInstanceUID


def test_same_object_again_is_a_duplicate(house, send):
    send(ct_slice(1))
    assert send(ct_slice(1)).kind is OutcomeKind.DUPLICATE
    assert house.index.count() == 1


def test_corrected_name_reaches_the_vault_alone(house, send):
    outcome = send(ct_slice(1))
    served = house.index.study("research", outcome.study_uid)
    assert send(ct_slice(1, patient_name="Roe^Jane")).kind is OutcomeKind.DUPLICATE
    entry = house.research_vault.open(house.vault.get("research", "patient", served.patient_id))
    assert "Roe^Jane" in str(entry)
    assert house.index.study("research", outcome.study_uid).patient_name == served.patient_name


def test_two_patients_under_one_study_are_told_apart(send):
    send(ct_slice(1))
    outcome = send(ct_slice(2, patient_id="SOMEBODY-ELSE"))
    assert (outcome.kind, outcome.failure_reason) == (OutcomeKind.QUARANTINED, 0xC004)


def test_annotation_of_a_served_study_keeps_its_uids(house, send):
    image = send(ct_slice(1))
    outcome = send(report(image.study_uid))
    assert (outcome.study_uid, outcome.sop_instance_uid) == (image.study_uid, "1.2.826.99.2")
    assert house.index.find("research", outcome.sop_instance_uid).kind is ObjectKind.ANNOTATION


def test_annotation_takes_the_patient_of_its_study(house, send):
    image = send(ct_slice(1))
    outcome = send(report(image.study_uid, patient_name="Typed^In", patient_id="TYPED"))
    served = house.index.study("research", image.study_uid)
    stored = house.stored(house.index.find("research", outcome.sop_instance_uid))
    assert (str(stored.PatientName), stored.PatientID) == (served.patient_name, served.patient_id)


def test_name_that_a_reader_typed_is_not_served(house, send):
    image = send(ct_slice(1))
    annotation = report(image.study_uid)
    annotation.SeriesDescription = "Nodules of Jane Doe"
    send(annotation)
    assert b"Jane Doe" not in everything_stored(house)


def test_annotation_under_the_original_study_uid_is_cleaned(send):
    image = send(ct_slice(1))
    outcome = send(report(STUDY_UID))
    assert outcome.study_uid == image.study_uid
    assert outcome.sop_instance_uid.startswith("2.25.")


def test_image_under_a_served_study_uid_is_cleaned_like_any_other(send):
    image = send(ct_slice(1))
    outcome = send(ct_slice(2, study_uid=image.study_uid))
    assert outcome.study_uid not in (image.study_uid, STUDY_UID)


def test_annotation_that_left_and_comes_back_is_our_own(house, send):
    image = send(ct_slice(1))
    send(report(image.study_uid))
    before = house.index.study("research", image.study_uid)
    assert send(report(STUDY_UID)).kind is OutcomeKind.OWN_OBJECT
    assert house.index.study("research", image.study_uid) == before


def test_preamble_and_sender_do_not_reach_the_file(house, send):
    outcome = send(ct_slice(1))
    content = house.blobs.path(house.index.find("research", outcome.sop_instance_uid).blob.key).read_bytes()
    assert content[:128] == bytes(128)
    assert b"SCANNER" not in content
    assert isinstance(dcmread(io.BytesIO(content)), Dataset)


def test_cleaned_elements_are_counted_once_for_what_is_kept(house, send):
    image = ct_slice(1)
    image.OperatorsName = image.StationName = "CT1"
    send(image)
    once = house.counters.all("research")
    assert once["elements removed"] > 0
    assert once["elements replaced"] > 0
    send(image)
    assert house.counters.all("research") == once
