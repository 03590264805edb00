"""Finding the patient's own values in text, and moving dates."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.deident.date_rule import DateRule
from service.deident.date_shift import is_time, shifted_date, shifted_date_time
from service.deident.element_values import Encoding
from service.deident.own_values import OwnValues
from service.deident.safe_words import SafeWords
from service.errors import IdentityNotRemovable


def own(**values: object) -> OwnValues:
    header = Dataset()
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return OwnValues.of(header, Encoding())


@pytest.mark.parametrize(
    "text",
    ["Smith", "SMITH", "john smith", "Smith, John", "smith_john", "xxSmithyy", "Smíth", "S m i t h", "JohnSmith"],
)
def test_a_name_is_found_in_any_dress(text):
    assert own(PatientName="Smith^John").found_in([text])


PERSONS = sorted({entry[4] for entry in DicomDictionary.values() if entry[0] == "PN"} - {"SelectorPNValue"})


@pytest.mark.parametrize("keyword", PERSONS)
def test_every_persons_name_of_the_standard_is_looked_for(keyword):
    assert own(**{keyword: "Qwertson^Ann"}).found_in(["tell Qwertson"])


def test_the_name_that_a_patient_goes_by_is_looked_for():
    header, item = Dataset(), Dataset()
    item.add_new(0x00100012, "LT", "Annie")
    header.add_new(0x00100011, "SQ", Sequence([item]))
    assert OwnValues.of(header, Encoding()).found_in(["see Annie again"])


@pytest.mark.parametrize("text", ["Li Wu", "wu, li", "LiWu"])
def test_short_names_are_found_beside_each_other(text):
    assert own(PatientName="Wu^Liang").found_in(["Wu Liang"])
    assert own(PatientName="Wu^Lian").found_in(["xWULIANx"])


@pytest.mark.parametrize("text", ["", "Smi", "Johnson", "thorax", "CT", "1"])
def test_other_words_are_not_found(text):
    assert not own(PatientName="Smith^John", PatientID="12").found_in([text])


@pytest.mark.parametrize("text", ["0012345", "12345", "no. 12-345", "12 345 b", "x0012345y"])
def test_an_id_is_found_without_its_separators_and_zeros(text):
    assert own(PatientID="0012345").found_in([text])


def test_a_short_id_is_found_as_a_word_only():
    values = own(PatientID="0815")
    assert values.found_in(["case 0815"])
    assert not values.found_in(["1208159"])


@pytest.mark.parametrize("text", ["19610502", "1961-05-02", "02.05.1961", "05/02/1961", "DOB 02051961"])
def test_the_birth_date_is_found_in_any_order(text):
    assert own(PatientBirthDate="19610502").found_in([text])


def test_other_names_and_ids_are_looked_for():
    other = Dataset()
    other.PatientID = "OTHER-77"
    values = own(
        PatientBirthName="Maiden^X",
        AccessionNumber="ACC12345",
        OtherPatientIDsSequence=Sequence([other]),
        ReferringPhysicianName="House^Gregory",
    )
    for text in ("nee maiden", "acc 12345", "other77", "by house"):
        assert values.found_in([text])


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def content(value_type: str, code: str, **value: object) -> Dataset:
    concept = item(CodeValue=code, CodingSchemeDesignator="DCM", CodeMeaning="what it is")
    return item(ValueType=value_type, ConceptNameCodeSequence=[concept], **value)


def corrected(**values: object) -> dict[str, object]:
    return {"OriginalAttributesSequence": [item(ModifiedAttributesSequence=[item(**values)])]}


def in_content(*items: Dataset) -> dict[str, object]:
    return {"ContentSequence": [item(ValueType="CONTAINER", ContentSequence=list(items))]}


def wide(values: bytes) -> bytes:
    return b"".join(bytes((value, 0)) for value in values)


@pytest.mark.parametrize("patient_id", ["12345", "ABCDEF", "11111", "97531"])
def test_a_ramp_in_a_palette_is_nobodys_number(patient_id):
    values = own(PatientID=patient_id)
    for ramp in (bytes(range(256)), bytes(range(255, -1, -2)), bytes([0x31]) * 256):
        assert not values.found_in_bytes(ramp)
        assert not values.found_in_bytes(wide(ramp))
        assert values.found_in_bytes(ramp + b" no. " + patient_id.encode() + b" ")
        assert values.found_in_bytes(wide(ramp + b" no. " + patient_id.encode() + b" "))
    assert values.found_in_bytes(patient_id.encode())
    assert values.found_in_bytes(bytes(7 << 20) + b"no. " + patient_id.encode())


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (corrected(PatientName="Wrongname^Anna"), "anna wrongname"),
        (corrected(PatientID="PX-77123"), "no. PX77123"),
        (corrected(PatientBirthDate="19500320"), "born 20 March 1950"),
        ({"RequestAttributesSequence": [item(AccessionNumber="ACC-88123")]}, "acc88123"),
        ({"RequestAttributesSequence": [item(ScheduledProcedureStepID="SPS-88123")]}, "SPS 88123"),
        ({"ReferencedRequestSequence": [item(FillerOrderNumberImagingServiceRequest="F-77123")]}, "F 77123"),
        ({"ReferencedPatientSequence": [item(PatientID="RP-77123")]}, "rp77123"),
        ({"VerifyingObserverSequence": [item(VerifyingObserverName="Housekeeper^G")]}, "by Housekeeper"),
        ({"ClinicalTrialSubjectID": "TRIAL-0042"}, "trial 0042"),
        (in_content(content("PNAME", "121029", PersonName="Subjectname^Al")), "SUBJECTNAME"),
        (in_content(content("TEXT", "121030", TextValue="SU-77123")), "su77123"),
        (in_content(content("DATE", "121031", Date="19500320")), "1950-03-20"),
        (in_content(content("PNAME", "121008", PersonName="Observername^Al")), "seen by observername"),
    ],
)
def test_what_only_an_item_says_of_the_patient_is_looked_for(said, text):
    values = own(PatientName="Smith^John", **said)
    assert values.found_in([text])
    assert not own(PatientName="Smith^John").found_in([text])


def test_an_identifier_of_an_item_is_found_in_bytes_as_it_is_written():
    other = item(PatientID="OT-HER-77")
    assert own(OtherPatientIDsSequence=[other]).found_in_bytes(b"\x01\x02 ot-her-77 \x00")


def test_what_names_more_than_anybody_is_called_is_held():
    with pytest.raises(IdentityNotRemovable):
        own(OtherPatientIDsSequence=[item(PatientID=f"OTHER{number}") for number in range(600)])


def test_nothing_is_found_without_values():
    assert not OwnValues((), ()).found_in(["anything", ""])


def test_binary_data_is_searched_in_ascii_and_utf_16():
    values = own(PatientName="Smithers^Jo", PatientID="AB-1234")
    for data in (b"\x00\x01SMITHERS\xff", "smithers".encode("utf-16-le"), b"..ab1234.."):
        assert values.found_in_bytes(data)
    assert not values.found_in_bytes(bytes(range(256)))


# -- dates ---------------------------------------------------------------------------------------------------------


@given(st.dates(min_value=date(1900, 1, 1)), st.integers(365, 3650))
def test_a_date_moves_by_whole_days(day, days):
    moved = shifted_date(day.strftime("%Y%m%d"), days)
    assert moved == (day - timedelta(days=days)).strftime("%Y%m%d")


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20240317", "20230318"),
        ("2024.03.17", "20230318"),
        ("2024", None),
        ("20241317", None),
        ("20240230", None),
        ("00010101", None),
        ("Smith", None),
    ],
)
def test_what_is_no_date_is_not_moved(text, moved):
    assert shifted_date(text, 365) == moved


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20240317081530.123456+0100", "20230318081530.123456+0100"),
        ("20240317", "20230318"),
        ("202403170815-0500", "202303180815-0500"),
        ("202403", "202303"),
        ("2024", "2023"),
        ("2024+0100", "2023+0100"),
        ("yesterday", None),
        ("20240317Smith", None),
        ("202413", None),
    ],
)
def test_a_date_time_keeps_time_zone_and_precision(text, moved):
    assert shifted_date_time(text, 365) == moved


@pytest.mark.parametrize(("text", "time"), [("081530.123456", True), ("08:15:30", True), ("08", True), ("8", False)])
def test_times_are_told_from_text(text, time):
    assert is_time(text) is time


def test_dates_before_the_real_one_stay():
    rule = DateRule(400, real_from="20240101")
    assert rule.date("20231231") == "20231231"
    assert rule.date("20240101") == "20221127"
    assert rule.date_time("20231231101500") == "20231231101500"
    assert rule.date_time("2024") == "2022"


# -- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("Left lesion 12", True), ("LESION-3", True), ("lesion 4711", False), ("lesion Smith", False), ("", True)],
)
def test_text_of_known_words_may_stay(text, allowed):
    assert SafeWords(["left", "lesion"]).allow(text) is allowed


def test_words_of_another_text_count():
    assert SafeWords([]).allow("Lung nodule", also=["Nodule of lung"])
