"""What the vault gives back of patient and study is what the original header would have given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from service.core.records import ObjectKind, OutcomeKind
from service.custody.way_back import WayBack
from service.ingest.part10 import read_file
from service.objects.identity_attributes import patient_and_study_of
from tests.datasets import as_file, ct_slice
from tests.ingest_house import IngestHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def in_kanji(image: Dataset) -> None:
    image.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    image.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    image.ReferringPhysicianName = "Sensei^Test=先生^試験="


def in_cyrillic(image: Dataset) -> None:
    image.SpecificCharacterSet = "ISO_IR 144"
    image.PatientName = "Люкceмбypг"
    image.StudyDescription = "Грудь"


def numbers(image: Dataset) -> None:
    image.PregnancyStatus = 2
    image.PatientWeight, image.PatientSize = "70.50", "1.80"
    image.LongitudinalTemporalOffsetFromEvent = 12.25
    image.LongitudinalTemporalEventType = "ENROLLMENT"


def several_values(image: Dataset) -> None:
    image.OtherPatientNames = ["One^Name", "Other^Name"]
    image.AdmittingDiagnosesDescription = ["First", "Second"]
    image.PatientComments = "Two\r\nlines \\ and a backslash"


def nested(image: Dataset) -> None:
    qualifiers, issuer, other = Dataset(), Dataset(), Dataset()
    issuer.UniversalEntityID, issuer.UniversalEntityIDType = "1.2.3.4", "ISO"
    qualifiers.UniversalEntityID, qualifiers.UniversalEntityIDType = "1.2.3.5", "ISO"
    other.PatientID, other.TypeOfPatientID = "OTHER-1", "TEXT"
    other.IssuerOfPatientIDQualifiersSequence = [qualifiers]
    image.IssuerOfAccessionNumberSequence = [issuer]
    image.OtherPatientIDsSequence = [other]


def empty(image: Dataset) -> None:
    image.PatientBirthDate = image.AccessionNumber = image.StudyTime = ""
    image.ProcedureCodeSequence = []
    del image.StudyID


def odd(image: Dataset) -> None:
    image.add_new(0x00100030, "DA", "1961.05.02")
    image.add_new(0x00101010, "AS", "62")
    image.add_new(0x00200010, "SH", "longer than sixteen characters")


def already_cleaned(image: Dataset) -> None:
    image.PatientIdentityRemoved = "YES"
    image.DeidentificationMethod = "elsewhere"
    image.LongitudinalTemporalInformationModified = "MODIFIED"


CHANGES = [in_kanji, in_cyrillic, numbers, several_values, nested, empty, odd, already_cleaned]
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.filterwarnings("ignore:A value of type")
@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_patient_and_study_come_back_as_they_came(
    house: IngestHouse, change: Callable[[Dataset], None], syntax: str
) -> None:
    image = ct_slice()
    change(image)
    content = as_file(image, syntax)
    file = read_file(content)
    outcome = house.pipeline.process(house.incoming(file.data_set, "research", file.transfer_syntax_uid))
    assert outcome.kind is OutcomeKind.ARCHIVED, outcome.reason
    back = WayBack(house.research_vault, house.vault, "research").original_study(outcome.study_uid)
    assert back == patient_and_study_of(dcmread(BytesIO(content)))


@pytest.mark.parametrize("change", [in_kanji, in_cyrillic], ids=lambda change: change.__name__)
def test_names_in_any_script_are_written_in_what_leaves(house: IngestHouse, change: Callable[[Dataset], None]) -> None:
    image = ct_slice()
    change(image)
    outcome = house.pipeline.process(house.incoming(image, "research"))
    row = house.index.find("research", outcome.sop_instance_uid)
    assert row is not None
    back = WayBack(house.research_vault, house.vault, "research")
    restored = back.restore(house.stored(row), ObjectKind.IMAGE).data_set
    written = dcmread(BytesIO(as_file(restored)))
    assert written.SpecificCharacterSet == "ISO_IR 192"
    assert str(written.PatientName) == str(image.PatientName)
    assert str(written.get("StudyDescription")) == str(image.StudyDescription)
    assert back.character_set(outcome.study_uid)[-1] == (
        image.SpecificCharacterSet if change is in_cyrillic else "ISO 2022 IR 87"
    )
