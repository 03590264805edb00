"""A header goes in, a clean one comes out: UIDs, dates, pseudonyms, Types, stamps and the sealed way back."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import EncapsulatedPDFStorage, EncapsulatedSTLStorage, ImplicitVRLittleEndian

from dicom_nodes.errors import InstanceUnreadable
from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.deident.vault import Vault
from service.errors import IdentityNotRemovable
from tests.datasets import as_file, ct_slice

PROFILES = Path(__file__).parents[2] / "config" / "profiles"
KEY_FILE = KeyFile.ephemeral()


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


def deidentifier(profile: str = "default", project: str = "p", key_file: KeyFile = KEY_FILE) -> Deidentifier:
    return Deidentifier(load_profile(PROFILES, profile), key_file.project_keys(project), Vault(key_file, project))


@pytest.fixture(scope="module")
def default():
    return deidentifier()


def raw(data_set: Dataset, transfer_syntax_uid: str = "1.2.840.10008.1.2.1") -> Dataset:
    """The data set as it is after reading: elements not yet converted."""
    return dcmread(BytesIO(as_file(data_set, transfer_syntax_uid)))


def item(**values: object) -> Dataset:
    data_set = Dataset()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


# -- UIDs ----------------------------------------------------------------------------------------------------------


def test_uids_are_mapped_alike_wherever_they_stand(default):
    image = ct_slice(1)
    other = ct_slice(2)
    other.ReferencedImageSequence = Sequence(
        [item(ReferencedSOPClassUID=image.SOPClassUID, ReferencedSOPInstanceUID=image.SOPInstanceUID)]
    )
    reference = default.clean(raw(other)).data_set.ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == default.clean(raw(image)).data_set.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == image.SOPClassUID


def test_a_new_uid_is_a_valid_uuid_of_the_applications_own_version(default):
    import uuid

    new = default.map_uid("1.2.3")
    assert new.startswith("2.25.")
    made = uuid.UUID(int=int(new.removeprefix("2.25.")))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
    assert len(new) <= 64


@pytest.mark.parametrize("uid", ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.4.1.1", ""])
def test_uids_of_the_standard_stay(default, uid):
    assert default.map_uid(uid) == uid


def test_two_projects_map_apart():
    assert deidentifier(project="a").map_uid("1.2.3") != deidentifier(project="b").map_uid("1.2.3")


def test_a_manufacturers_private_sop_class_stays(default):
    image = ct_slice()
    image.SOPClassUID = "1.3.12.2.1107.5.9.1"
    assert default.clean(image).data_set.SOPClassUID == "1.3.12.2.1107.5.9.1"


@pytest.mark.parametrize(
    ("keyword", "uid", "stays"),
    [
        ("SOPClassUID", "1.2.826.0.1.999.77812.19500320", False),
        ("ContextUID", "1.2.826.0.1.999.77812.19500320", False),
        ("ContextUID", "1.2.840.10008.6.1.4", True),
        ("ContextUID", "1.2.840.10008.6.1.77812", False),
        ("CodingSchemeUID", "2.16.840.1.113883.6.96", True),
        ("MappingResourceUID", "1.2.840.10008.8.1.1", True),
        ("AvailableTransferSyntaxUID", "1.2.840.113619.5.2", True),
        ("AvailableTransferSyntaxUID", "1.2.826.0.1.999.77812.19500320", False),
    ],
)
def test_a_uid_of_a_kind_stays_only_where_it_is_known_for_one(default, keyword, uid, stays):
    image = ct_slice()
    setattr(image, keyword, uid)
    cleaned = default.clean(raw(image)).data_set
    assert cleaned[keyword].value == (uid if stays else default.map_uid(uid))


def test_several_uids_in_one_element_are_each_mapped(default):
    image = ct_slice()
    image.FailedSOPInstanceUIDList = ["1.2.3", "1.2.4"]
    cleaned = default.clean(raw(image)).data_set
    assert list(cleaned.FailedSOPInstanceUIDList) == [default.map_uid("1.2.3"), default.map_uid("1.2.4")]


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_an_object_without_its_uids_is_unreadable(default, keyword):
    image = ct_slice()
    del image[keyword]
    with pytest.raises(InstanceUnreadable, match="is missing"):
        default.clean(image)


# -- patients and dates --------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_signatures_go_at_every_depth_with_all_that_is_told_of_them(default, depth):
    image = ct_slice()
    level = image
    for _ in range(depth):
        item = Dataset()
        level.ReferencedSeriesSequence = [item]
        level = item
    told = Dataset()
    told.MACIDNumber, told.MACAlgorithm, told.DataElementsSigned = 1, "SHA256", [0x00100010]
    signed = Dataset()
    signed.MACIDNumber, signed.Signature, signed.CertificateOfSigner = 1, b"sealed", b"signer"
    level.MACParametersSequence, level.DigitalSignaturesSequence = [told], [signed]
    clean = default.clean(raw(image)).data_set
    for _ in range(depth):
        clean = clean.ReferencedSeriesSequence[0]
    assert "MACParametersSequence" not in clean
    assert "DigitalSignaturesSequence" not in clean


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


# -- Types, text, structure ----------------------------------------------------------------------------------------


def test_an_action_yields_to_the_elements_type(default):
    image = ct_slice()
    image.DeviceSerialNumber = "S-1"  # Type 3 in General Equipment of CT: X/Z/D is X
    assert "DeviceSerialNumber" not in default.clean(image).data_set
    image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"  # Type 1 in Enhanced General Equipment: X/Z/D is D
    assert default.clean(image).data_set.DeviceSerialNumber == "REMOVED"


def test_a_type_2_attribute_is_emptied(default):
    cleaned = default.clean(raw(ct_slice())).data_set
    assert (cleaned.AccessionNumber, cleaned.StudyID, cleaned.ReferringPhysicianName) == ("", "", "")


def test_private_and_unknown_elements_go(default):
    image = ct_slice()
    image.private_block(0x0009, "VENDOR", create=True).add_new(1, "LO", "Doe")
    image.add_new(0x00189FFF, "LO", "unknown")
    tags = [int(tag) for tag in default.clean(raw(image)).data_set.keys()]  # noqa: SIM118
    assert not [tag for tag in tags if tag >> 16 == 0x0009 or tag == 0x00189FFF]


@pytest.mark.parametrize(
    "text",
    ["Doe", "scan of JANE DOE", "doe_jane", "Dôe", "ID PAT4711", "pat-4711", "born 02.05.1961", "JaneDoe2"],
)
def test_text_that_repeats_the_patients_values_goes(default, text):
    image = ct_slice()
    image.ManufacturerModelName = text
    assert "ManufacturerModelName" not in default.clean(raw(image)).data_set


@pytest.mark.parametrize("text", ["made 2024-03-17", "17.03.2024", "of 1.2.826.0.1.3680043.8.498.1.1.1", "Dr. House"])
def test_text_that_says_when_which_or_by_whom_goes(default, text):
    image = ct_slice()
    image.ManufacturerModelName = text
    assert "ManufacturerModelName" not in default.clean(raw(image)).data_set


def test_a_coded_string_may_share_a_word_with_a_physicians_department(default):
    image = ct_slice()
    image.ReferringPhysicianName = "CHEST CLINIC"
    assert default.clean(raw(image)).data_set.BodyPartExamined == "CHEST"


def test_addresses_of_servers_go(default):
    image = ct_slice()
    image.RetrieveURL = "https://pacs.example/studies"
    assert "RetrieveURL" not in default.clean(raw(image)).data_set


@pytest.mark.parametrize("text", ["Scanner 9000", "Doering model", "Janet", "4711"])
def test_text_that_only_looks_alike_stays(default, text):
    image = ct_slice()
    image.ManufacturerModelName = text
    assert default.clean(raw(image)).data_set.ManufacturerModelName == text


@pytest.mark.parametrize(
    ("charset", "name", "text"),
    [
        ("ISO_IR 192", "山田^太郎", "画像 山田太郎"),
        ("ISO_IR 100", "Müller^Jörg", "Aufnahme MÜLLER"),
        ("ISO_IR 144", "Люкceмбypг^Иван", "снимок Люкceмбypг"),
        ("GB18030", "王^小东", "王 小东的扫描"),
    ],
)
def test_names_are_found_in_their_character_set(default, charset, name, text):
    image = ct_slice(patient_name=name)
    image.SpecificCharacterSet = charset
    image.ManufacturerModelName = text
    cleaned = default.clean(raw(image)).data_set
    assert "ManufacturerModelName" not in cleaned
    assert cleaned.SpecificCharacterSet == charset


def test_kept_text_stays_decodable(default):
    image = ct_slice()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.ManufacturerModelName = "Gerät für Köpfe"
    cleaned = default.clean(raw(image)).data_set
    again = dcmread(BytesIO(as_file(cleaned)))
    assert again.ManufacturerModelName == "Gerät für Köpfe"


def test_a_code_keeps_its_meaning_even_where_a_patient_is_called_so(default):
    image = ct_slice(patient_name="Lung^Wai")
    image.AnatomicRegionSequence = Sequence(
        [item(CodeValue="39607008", CodingSchemeDesignator="SCT", CodeMeaning="Lung")]
    )
    assert default.clean(raw(image)).data_set.AnatomicRegionSequence[0].CodeMeaning == "Lung"


def test_a_code_with_a_meaning_of_its_own_is_searched(default):
    image = ct_slice()
    image.AnatomicRegionSequence = Sequence(
        [item(CodeValue="39607008", CodingSchemeDesignator="SCT", CodeMeaning="Lung of Doe")]
    )
    assert default.clean(raw(image)).data_set.AnatomicRegionSequence[0].CodeMeaning == "REMOVED"


def test_overlays_go_whole(default):
    image = ct_slice()
    image.add_new(0x60000010, "US", 16)
    image.add_new(0x60003000, "OW", bytes(32))
    assert not list(default.clean(raw(image)).data_set.group_dataset(0x6000))


def test_sequences_nested_without_end_are_refused(default):
    image = ct_slice()
    inner = item(SeriesNumber=1)
    for _ in range(70):
        inner = item(ReferencedSeriesSequence=Sequence([inner]))
    image.ReferencedSeriesSequence = Sequence([inner])
    with pytest.raises(IdentityNotRemovable, match="deeper than 64"):
        default.clean(image)


def test_pixels_and_other_numbers_are_handed_on_untouched(default):
    header = raw(ct_slice())
    cleaned = default.clean(header).data_set
    for keyword in ("PixelData", "Rows", "PixelSpacing", "ImagePositionPatient", "RescaleSlope"):
        assert cleaned.get_item(keyword) is header.get_item(keyword)


def test_the_header_itself_is_not_changed(default):
    header = raw(ct_slice())
    default.clean(header)
    assert header == raw(ct_slice())


def test_an_implicit_header_is_cleaned_the_same(default):
    explicit = default.clean(raw(ct_slice())).data_set
    implicit = default.clean(raw(ct_slice(), ImplicitVRLittleEndian)).data_set
    assert implicit == explicit


def test_a_header_made_in_memory_is_cleaned_the_same(default):
    assert default.clean(ct_slice()).data_set == default.clean(raw(ct_slice())).data_set


# -- refusals ------------------------------------------------------------------------------------------------------


def test_burned_in_identity_is_refused(default):
    image = ct_slice()
    image.BurnedInAnnotation = "YES"
    with pytest.raises(IdentityNotRemovable, match="Burned In Annotation"):
        default.clean(image)


def test_an_encapsulated_pdf_becomes_a_page_that_says_so(default):
    document = ct_slice()
    document.SOPClassUID = EncapsulatedPDFStorage
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocument = b"%PDF-1.4 Jane Doe"
    document.DocumentTitle = "Report on Doe"
    document.BurnedInAnnotation = "YES"
    cleaned = default.clean(raw(document)).data_set
    assert cleaned.EncapsulatedDocument.startswith(b"%PDF-1.4\n")
    assert b"Doe" not in cleaned.EncapsulatedDocument
    assert cleaned.EncapsulatedDocumentLength == len(cleaned.EncapsulatedDocument)
    assert cleaned.BurnedInAnnotation == "NO"
    assert cleaned.DocumentTitle == "Report on _"


def test_another_kind_of_document_is_refused(default):
    document = ct_slice()
    document.SOPClassUID = EncapsulatedSTLStorage
    document.MIMETypeOfEncapsulatedDocument = "model/stl"
    document.EncapsulatedDocument = b"solid Jane Doe"
    with pytest.raises(IdentityNotRemovable, match=r"encapsulated document \(model/stl\)"):
        default.clean(document)


# -- stamps and the way back ---------------------------------------------------------------------------------------


def test_the_stamps_say_what_was_done(default):
    cleaned = default.clean(raw(ct_slice())).data_set
    assert cleaned.PatientIdentityRemoved == "YES"
    assert cleaned.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [code.CodeValue for code in cleaned.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113103", "113104", "113105", "113107", "113108"]
    equipment = cleaned.ContributingEquipmentSequence[0]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109104"
    assert "BurnedInAnnotation" not in cleaned


def test_codes_of_an_earlier_cleaning_stay_and_texts_go(default):
    image = ct_slice()
    image.DeidentificationMethod = "by Dr Doe"
    image.DeidentificationMethodCodeSequence = Sequence(
        [
            item(CodeValue="113105", CodingSchemeDesignator="DCM", CodeMeaning="whatever Doe said"),
            item(CodeValue="X1", CodingSchemeDesignator="99DOE", CodeMeaning="Doe's own"),
        ]
    )
    cleaned = default.clean(raw(image)).data_set
    codes = [(code.CodeValue, code.CodeMeaning) for code in cleaned.DeidentificationMethodCodeSequence]
    assert codes[0] == ("113105", "Clean Descriptors Option")
    assert "X1" not in [value for value, _ in codes]
    assert cleaned.DeidentificationMethod == "Annogate, profile default"


def test_original_attributes_and_foreign_equipment_never_survive(default):
    image = ct_slice()
    image.OriginalAttributesSequence = Sequence([item(SourceOfPreviousValues="Doe clinic")])
    image.ContributingEquipmentSequence = Sequence([item(Manufacturer="Theirs")])
    cleaned = default.clean(raw(image)).data_set
    assert "OriginalAttributesSequence" not in cleaned
    assert [equipment.Manufacturer for equipment in cleaned.ContributingEquipmentSequence] == ["Annogate"]


def test_the_vault_entries_lead_back(default):
    cleaned = default.clean(raw(ct_slice()))
    vault = Vault(KEY_FILE, "p")
    entries = {(entry.kind, entry.key): vault.open(entry) for entry in cleaned.sealed}
    patient = entries["patient", cleaned.data_set.PatientID]
    study = entries["study", cleaned.data_set.StudyInstanceUID]
    assert Dataset.from_json(patient["elements"]).PatientName == "Doe^Jane"
    assert patient["shift_days"] == default.shift_days("PAT-4711")
    assert Dataset.from_json(study["elements"]).AccessionNumber == "ACC-99"
    assert study["patient"] == cleaned.data_set.PatientID
    image = ct_slice()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert entries["uid", cleaned.data_set[keyword].value]["uid"] == image[keyword].value


def test_the_vault_keeps_names_in_any_character_set(default):
    image = ct_slice(patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう")
    image.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    cleaned = default.clean(raw(image))
    patient = next(entry for entry in cleaned.sealed if entry.kind == "patient")
    elements = Vault(KEY_FILE, "p").open(patient)["elements"]
    assert Dataset.from_json(elements).PatientName == image.PatientName
    assert elements["00080005"]["Value"] == ["", "ISO 2022 IR 87"]


def test_the_vault_follows_corrected_attributes(default):
    corrected = ct_slice()
    corrected.AccessionNumber = "ACC-100"
    before, after = default.clean(ct_slice()), default.clean(corrected)
    study = [next(entry for entry in cleaned.sealed if entry.kind == "study") for cleaned in (before, after)]
    assert study[0].key == study[1].key
    opened = Vault(KEY_FILE, "p").open(study[1])
    assert Dataset.from_json(opened["elements"]).AccessionNumber == "ACC-100"


def test_without_a_sealer_there_is_no_way_back():
    profile = load_profile(PROFILES, "default")
    assert Deidentifier(profile, KEY_FILE.project_keys("p")).clean(ct_slice()).sealed == ()


# -- reasons -------------------------------------------------------------------------------------------------------


def test_every_element_gets_its_reason(default):
    header = raw(ct_slice())
    decisions = {decision.keyword: decision for decision in default.clean(header, explain=True).decisions}
    assert set(decisions) == {element.keyword for element in header}
    assert all(decision.rule and decision.reason for decision in decisions.values())
    assert decisions["StudyDescription"].action == "kept"
    assert decisions["AccessionNumber"].action == "emptied"
    assert decisions["StudyInstanceUID"].action == "replaced"
    assert decisions["PixelData"].action == "kept"
    assert decisions["StudyDescription"].rule == "PS3.15 Table E.1-1: clean_descriptors C"


def test_a_nested_decision_names_its_path(default):
    image = ct_slice()
    image.ReferencedSeriesSequence = Sequence([item(SeriesNumber=1), item(InstitutionName="Doe clinic")])
    decisions = default.clean(raw(image), explain=True).decisions
    found = next(decision for decision in decisions if decision.keyword == "InstitutionName")
    assert found.path == "(0008,1115)[1].(0008,0080)"


def test_reasons_hold_no_value(default):
    text = repr(default.clean(raw(ct_slice()), explain=True).decisions)
    for value in ("Doe", "Jane", "4711", "ACC-99", "House", "19610502", "20240317", "1.2.826"):
        assert value not in text


def test_a_found_own_value_is_the_reason(default):
    image = ct_slice()
    image.ManufacturerModelName = "Doe"
    decisions = default.clean(raw(image), explain=True).decisions
    found = next(decision for decision in decisions if decision.keyword == "ManufacturerModelName")
    assert (found.action, found.reason) == ("removed", "one of the patient's own values stands in it")


def test_counts_are_of_elements(default):
    cleaned = default.clean(raw(ct_slice()), explain=True)
    words = [decision.action for decision in cleaned.decisions]
    assert cleaned.elements_removed == words.count("removed")
    assert cleaned.elements_replaced == words.count("replaced") + words.count("emptied")


# -- bad input -----------------------------------------------------------------------------------------------------


def test_an_element_with_an_impossible_vr_is_encoded_again_or_goes(default):
    content = as_file(ct_slice())
    for tag in (b"\x08\x00\x20\x00DA", b"\x08\x00\x70\x00LO"):
        content = content.replace(tag, tag[:4] + b"D\xfd")
    header = dcmread(BytesIO(content), force=True)
    cleaned = default.clean(header).data_set
    assert cleaned.StudyDate == ""
    assert "Manufacturer" not in cleaned or cleaned.Manufacturer == ""
    assert dcmread(BytesIO(as_file(cleaned))).Modality == "CT"


def test_a_code_sequence_that_cannot_be_read_does_not_stop_the_pass(default):
    header = raw(ct_slice())
    broken = RawDataElement(Tag(0x0040A043), "SQ", 6, b"Doe 12", 0, False, True)
    header[0x0040A043] = broken
    header.ValueType = "TEXT"
    cleaned = default.clean(header).data_set
    assert b"Doe" not in as_file(cleaned)
