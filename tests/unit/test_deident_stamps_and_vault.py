"""A clean header says what was done to it, and the vault leads back."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.profile import load_profile
from service.deident.vault import Vault
from tests.datasets import ct_slice
from tests.header_cleaning import KEY_FILE, PROFILES, deidentifier, item, raw


@pytest.fixture(scope="module", autouse=True)
def _lenient_reading():
    read_leniently()


@pytest.fixture(scope="module")
def default():
    return deidentifier()


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
