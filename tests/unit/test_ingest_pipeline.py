"""What becomes of objects that come in, in a project that keeps them as they are."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_nodes.errors import StorageExhausted
from service.core.records import NewInstance, ObjectKind, OutcomeKind
from service.ingest.part10 import read_file
from service.ingest.project_rules import ConflictRule
from tests.datasets import SERIES_UID, STUDY_UID, as_file, ct_slice, encode
from tests.ingest_house import CLINICAL, IngestHouse


@pytest.fixture
def house(tmp_path):
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def with_rule(tmp_path, rule):
    return closing(IngestHouse(tmp_path, {"clinical": replace(CLINICAL, on_conflict=rule)}))


def report(**changes):
    data_set = ct_slice(**changes)
    del data_set.PixelData
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.34"
    data_set.Modality = "SR"
    return data_set


def test_image_is_archived_under_its_uids(house):
    outcome = house.pipeline.process(house.incoming(ct_slice(1)))
    assert outcome.kind is OutcomeKind.ARCHIVED
    assert (outcome.study_uid, outcome.series_uid) == (STUDY_UID, SERIES_UID)


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_data_set_is_kept_byte_for_byte(house, transfer_syntax_uid):
    file = read_file(as_file(ct_slice(1), transfer_syntax_uid))
    outcome = house.pipeline.process(house.incoming(file.data_set, transfer_syntax_uid=file.transfer_syntax_uid))
    row = house.index.find("clinical", outcome.sop_instance_uid)
    assert house.stored_bytes(row) == file.data_set
    assert row.transfer_syntax_uid == transfer_syntax_uid


def test_pixels_are_found_where_the_index_says(house):
    source = ct_slice(1)
    outcome = house.pipeline.process(house.incoming(source))
    row = house.index.find("clinical", outcome.sop_instance_uid)
    pixels = row.blob.pixels
    content = house.blobs.path(row.blob.key).read_bytes()
    assert content[pixels.offset : pixels.offset + pixels.length] == source.PixelData


def test_elements_after_the_pixels_are_kept_where_nothing_is_cleaned(house):
    source = ct_slice(1)
    source.add_new(0xFFFCFFFC, "OB", b"padding!")
    outcome = house.pipeline.process(house.incoming(source))
    assert b"padding!" in house.stored_bytes(house.index.find("clinical", outcome.sop_instance_uid))


def test_same_object_again_is_a_duplicate_with_one_file(house):
    for _ in range(3):
        outcome = house.pipeline.process(house.incoming(ct_slice(1)))
    assert outcome.kind is OutcomeKind.DUPLICATE
    assert len(house.blob_keys()) == 1


def test_same_object_twice_in_a_batch_is_archived_once(house):
    kinds = [o.kind for o in house.pipeline.process_batch([house.incoming(ct_slice(1))] * 2)]
    assert kinds == [OutcomeKind.ARCHIVED, OutcomeKind.DUPLICATE]
    assert len(house.blob_keys()) == 1


def test_corrected_study_attributes_are_a_duplicate(house):
    house.pipeline.process(house.incoming(ct_slice(1)))
    corrected = ct_slice(1)
    corrected.AccessionNumber, corrected.PatientName = "OTHER", "Roe^Jane"
    assert house.pipeline.process(house.incoming(corrected)).kind is OutcomeKind.DUPLICATE


def other_content():
    return ct_slice(1, pixels=np.full((16, 16), 7))


def test_other_content_is_listed_and_the_first_stays(house):
    house.pipeline.process(house.incoming(ct_slice(1)))
    outcome = house.pipeline.process(house.incoming(other_content()))
    assert outcome.kind is OutcomeKind.KEPT_FIRST
    assert [row.action for row in house.conflicts.list()] == ["kept-first"]
    row = house.index.find("clinical", outcome.sop_instance_uid)
    assert house.stored(row).PixelData == ct_slice(1).PixelData


def test_other_content_replaces_where_the_project_says_so(tmp_path):
    with with_rule(tmp_path, ConflictRule.REPLACE) as house:
        house.pipeline.process(house.incoming(ct_slice(1)))
        outcome = house.pipeline.process(house.incoming(other_content()))
        assert outcome.kind is OutcomeKind.REPLACED
        row = house.index.find("clinical", outcome.sop_instance_uid)
        assert house.stored(row).PixelData == other_content().PixelData
        assert house.blob_keys() == {row.blob.key}


def test_other_content_is_quarantined_where_the_project_says_so(tmp_path):
    with with_rule(tmp_path, ConflictRule.QUARANTINE) as house:
        house.pipeline.process(house.incoming(ct_slice(1)))
        outcome = house.pipeline.process(house.incoming(other_content()))
        assert (outcome.kind, outcome.failure_reason) == (OutcomeKind.QUARANTINED, 0xC003)
        assert len(house.blob_keys()) == 1


def test_second_patient_under_a_study_is_quarantined(house):
    house.pipeline.process(house.incoming(ct_slice(1)))
    outcome = house.pipeline.process(house.incoming(ct_slice(2, patient_id="SOMEBODY-ELSE")))
    assert (outcome.kind, outcome.failure_reason) == (OutcomeKind.QUARANTINED, 0xC004)
    assert "SOMEBODY" not in outcome.reason
    assert len(house.blob_keys()) == 1


def test_unwanted_sop_class_is_dropped_and_counted(tmp_path):
    ct = ct_slice().SOPClassUID
    with closing(IngestHouse(tmp_path, {"clinical": replace(CLINICAL, drop_sop_classes=frozenset({ct}))})) as house:
        outcomes = house.pipeline.process_batch([house.incoming(ct_slice(n)) for n in (1, 2)])
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.DROPPED}
        assert house.counters.all("clinical") == {f"dropped {ct}": 2}


def test_unreadable_object_is_quarantined_with_its_reason(house):
    outcome = house.pipeline.process(house.incoming(b"no dicom at all"))
    row = house.quarantine.show(outcome.quarantine_id)
    assert (row.state, row.failure_reason, row.reason) == ("held", 0xC001, outcome.reason)


def test_object_of_no_project_is_quarantined(house):
    assert house.pipeline.process(house.incoming(ct_slice(), project="gone")).kind is OutcomeKind.QUARANTINED


def test_bad_object_does_not_hold_up_the_others(house):
    batch = [house.incoming(ct_slice(1)), house.incoming(b"\0" * 50), house.incoming(ct_slice(2))]
    kinds = [outcome.kind for outcome in house.pipeline.process_batch(batch)]
    assert kinds == [OutcomeKind.ARCHIVED, OutcomeKind.QUARANTINED, OutcomeKind.ARCHIVED]


def test_report_of_a_known_study_is_an_annotation(house):
    house.pipeline.process(house.incoming(ct_slice(1)))
    outcome = house.pipeline.process(house.incoming(report(sop_instance_uid="1.2.3.4", series_uid="1.2.3")))
    assert house.index.find("clinical", outcome.sop_instance_uid).kind is ObjectKind.ANNOTATION


def issued(data_set, issuer="Ward 7"):
    data_set.IssuerOfPatientID = issuer
    return data_set


def test_report_without_the_issuer_belongs_to_its_studys_patient(house):
    house.pipeline.process(house.incoming(issued(ct_slice(1))))
    outcome = house.pipeline.process(house.incoming(report(sop_instance_uid="1.2.3.4", series_uid="1.2.3")))
    assert house.index.find("clinical", outcome.sop_instance_uid).kind is ObjectKind.ANNOTATION


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(issued(report(sop_instance_uid="1.2.3.4"), "Ward 8"), id="a report by another issuer"),
        pytest.param(report(sop_instance_uid="1.2.3.4", patient_id="PAT-1"), id="a report of another Patient ID"),
        pytest.param(report(sop_instance_uid="1.2.3.4", patient_id=""), id="a report of nobody"),
        pytest.param(ct_slice(2), id="an image without the issuer"),
    ],
)
def test_what_may_be_of_another_patient_is_refused(house, foreign):
    house.pipeline.process(house.incoming(issued(ct_slice(1))))
    outcome = house.pipeline.process(house.incoming(foreign))
    assert outcome.kind is OutcomeKind.QUARANTINED
    assert house.index.count() == 1


def test_own_result_that_comes_back_changes_nothing(house):
    house.pipeline.process(house.incoming(ct_slice(1)))
    source = report(sop_instance_uid="1.2.3.4", series_uid="1.2.3")
    house.pipeline.process(house.incoming(source))
    row = house.index.find("clinical", "1.2.3.4")
    mine = NewInstance(
        "clinical", ObjectKind.RESULT, source, ExplicitVRLittleEndian, b"mine", 0.0, replace(row.blob, key=row.blob.key)
    )
    mine.header.SOPInstanceUID = "1.2.3.5"
    house.index.add(mine)
    before = house.index.study("clinical", STUDY_UID)
    returning = report(sop_instance_uid="1.2.3.5", series_uid="1.2.3", patient_name="Other^Name")
    assert house.pipeline.process(house.incoming(returning)).kind is OutcomeKind.OWN_OBJECT
    assert house.index.study("clinical", STUDY_UID) == before


def test_record_is_told_of_every_final_outcome_in_its_transaction(house):
    told = {}
    batch = [house.incoming(ct_slice(1)), house.incoming(b"bad")]
    outcomes = house.pipeline.process_batch(batch, lambda connection, final: told.update(final))
    assert told == dict(enumerate(outcomes))


def test_failed_record_leaves_neither_row_nor_file(house):
    def fail(connection, final):
        raise StorageExhausted("full")

    with pytest.raises(StorageExhausted):
        house.pipeline.process_batch([house.incoming(ct_slice(1))], fail)
    assert house.index.count() == 0
    assert house.blob_keys() == set()


def test_who_waits_is_woken_for_new_instances_alone(house):
    house.pipeline.process(house.incoming(ct_slice(1)))
    house.pipeline.process(house.incoming(ct_slice(1)))
    house.pipeline.process(house.incoming(b"bad"))
    assert house.woken == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_comes_in_has_an_outcome(house, data):
    content = bytearray(encode(ct_slice(rows=4, columns=4)))
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    outcome = house.pipeline.process(house.incoming(bytes(content[data.draw(st.integers(0, 40)) :])))
    assert outcome.kind in set(OutcomeKind)
    assert "Doe" not in outcome.reason
    assert "4711" not in outcome.reason
