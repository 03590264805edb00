"""One pseudonym and one shift for each patient; characteristics stay, identity goes."""

from __future__ import annotations

import pytest

from service.core.pydicom_reading import read_leniently
from tests.datasets import ct_slice
from tests.header_cleaning import deidentifier, raw


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def default():
    return deidentifier()


def test_one_patient_has_one_pseudonym_in_all_studies(default):
    one = default.clean(ct_slice(study_uid="1.2.3")).data_set
    two = default.clean(ct_slice(study_uid="1.2.4")).data_set
    assert one.PatientID == two.PatientID == str(one.PatientName)
    assert one.PatientID.startswith("ANON-")


def test_the_issuer_tells_equal_ids_apart(default):
    other = ct_slice()
    other.IssuerOfPatientID = "Elsewhere"
    assert default.clean(other).data_set.PatientID != default.clean(ct_slice()).data_set.PatientID


def test_objects_without_a_patient_id_belong_to_their_study_only(default):
    one, same, two = (ct_slice(study_uid=uid, patient_id="") for uid in ("1.2.3", "1.2.3", "1.2.4"))
    one, same, two = (default.clean(image) for image in (one, same, two))
    assert one.data_set.PatientID == same.data_set.PatientID != two.data_set.PatientID


def test_the_patient_digest_is_the_deidentifiers_own(default):
    assert default.clean(ct_slice()).patient_digest == default.patient_digest("PAT-4711")
    assert default.patient_digest("PAT-4711") != default.patient_digest("PAT-4712")


def test_dates_move_back_by_the_patients_days(default):
    from datetime import date, timedelta

    days = default.shift_days("PAT-4711")
    assert 365 <= days <= 3650
    cleaned = default.clean(raw(ct_slice())).data_set
    moved = (date(2024, 3, 17) - timedelta(days=days)).strftime("%Y%m%d")
    assert cleaned.StudyDate == cleaned.AcquisitionDate == moved
    assert cleaned.StudyTime == "081530"


def test_intervals_hold_across_studies(default):
    from datetime import datetime

    first, second = ct_slice(study_uid="1.2.3"), ct_slice(study_uid="1.2.4")
    second.StudyDate = "20250110"
    dates = [datetime.strptime(default.clean(image).data_set.StudyDate, "%Y%m%d") for image in (first, second)]
    assert (dates[1] - dates[0]).days == 299


def test_a_date_that_is_none_does_not_stay(default):
    image = raw(ct_slice())
    image.add(image["AcquisitionDate"].__class__("AcquisitionDate", "LO", "Doe 17 May"))
    assert default.clean(image).data_set.get("AcquisitionDate") in (None, "")


def test_the_birth_date_goes(default):
    assert default.clean(ct_slice()).data_set.PatientBirthDate == ""


@pytest.mark.parametrize(
    ("age", "kept"),
    [
        ("045Y", "045Y"),
        ("089Y", "089Y"),
        ("090Y", "090Y"),
        ("103Y", "090Y"),
        ("999M", "999M"),
        ("42", "42"),
        ("9x", None),
    ],
)
def test_ages_over_89_become_90(default, age, kept):
    image = raw(ct_slice())
    image.PatientAge = age
    assert default.clean(image).data_set.get("PatientAge") == kept


def test_characteristics_stay_and_identity_goes(default):
    image = ct_slice()
    image.PatientSize, image.PatientWeight, image.EthnicGroup = 1.7, 70, "Doe clan"
    image.OtherPatientIDs = "X-1"
    cleaned = default.clean(raw(image)).data_set
    assert (cleaned.PatientSex, cleaned.PatientSize, cleaned.PatientWeight) == ("F", 1.7, 70)
    assert "EthnicGroup" not in cleaned
    assert "OtherPatientIDs" not in cleaned


def test_the_basic_profile_keeps_no_dates_and_no_characteristics():
    cleaned = deidentifier("basic").clean(raw(ct_slice())).data_set
    assert (cleaned.StudyDate, cleaned.StudyTime, cleaned.PatientSex) == ("", "", "")
    assert "AcquisitionDate" not in cleaned
    assert cleaned.LongitudinalTemporalInformationModified == "REMOVED"
